"""What a refused response says, for the developer of the client."""

from __future__ import annotations

import json
from typing import Any

from . import _keybound
from ._arguments import by_name
from ._options import Headers, fields
from ._types import current
from .errors import NATIVE, reraise

__all__ = ["explain_response"]


@by_name
def explain_response(
    *,
    status: int,
    headers: Headers,
    body: bytes = b"",
    proof_iat: int | None = None,
    now: int | None = None,
) -> dict[str, Any]:
    """Says what is wrong with a request that was refused: challenges, nonce, clock, and what to do next.

    `headers` is a mapping, or pairs, one for each field line; `proof_iat` is when the proof was made, `now` the client's clock.
    """
    lines = [[name, value.decode("latin-1")] for name, value in fields(headers)]
    told: dict[str, Any] = {"status": status, "headers": lines, "body": body.decode("latin-1"), "now": current(now)}
    if proof_iat is not None:
        told["proof_iat"] = proof_iat
    try:
        advice: dict[str, Any] = json.loads(_keybound.explain_response(json.dumps(told)))
    except NATIVE as error:
        reraise(error)
    return advice
