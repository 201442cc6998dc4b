"""What a refused response says, for the developer of the client."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from . import _keybound
from ._types import current
from .errors import NATIVE, reraise

__all__ = ["explain_response"]


def explain_response(
    *,
    status: int,
    headers: Sequence[tuple[str, bytes | str]],
    body: bytes = b"",
    proof_iat: int | None = None,
    now: int | None = None,
) -> dict[str, Any]:
    """Says what is wrong with a request that was refused: challenges, nonce, clock, and what to do next.

    `headers` has one element for each field line; `proof_iat` is when the proof was made, `now` the client's clock.
    """
    fields = [[name, value if isinstance(value, str) else value.decode("latin-1")] for name, value in headers]
    told: dict[str, Any] = {"status": status, "headers": fields, "body": body.decode("latin-1"), "now": current(now)}
    if proof_iat is not None:
        told["proof_iat"] = proof_iat
    try:
        advice: dict[str, Any] = json.loads(_keybound.explain_response(json.dumps(told)))
    except NATIVE as error:
        reraise(error)
    return advice
