"""Audit records: what servers decided about requests, as lines of JSON."""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .errors import Misuse

__all__ = ["Audit", "Records"]

log = logging.getLogger("keybound.audit")
faults = logging.getLogger("keybound")


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Writes a record of each decision to the logger `keybound.audit` (level INFO), and gives it to `to`.

    A record is a line of JSON without token, proof, key, nonce, URL or subject; `docs/audit.md` lists its members. `key` is 32 secret bytes,
    the same on all servers whose records are compared: tokens are named by their HMAC under it.

    Both are called before the request is answered. Where writing may block, give the logger a `logging.handlers.QueueHandler`. What they
    raise is logged, and is no failure of the request.
    """

    key: bytes = field(repr=False)
    to: Callable[[str], object] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.key, bytes):
            raise Misuse("audit_key", "the key of audit records is 32 random bytes; write Audit(key=secrets.token_bytes(32))")
        if self.to is not None and not callable(self.to):
            raise Misuse("wrong_type", "to is a function that takes a record; write Audit(key=…, to=print)")

    def told(self) -> dict[str, str]:
        """As the core reads it."""
        return {"key": base64.urlsafe_b64encode(self.key).decode().rstrip("=")}


#: What gives the record of a decision: route, microseconds and time in, a line of JSON out, or none if records are not wanted.
Record = Callable[[str | None, int, int], str | None]


class Records:
    """Gives the records of one server to the log and to the program's own function."""

    def __init__(self, audit: Audit | None) -> None:
        self.audit = audit
        self._lost = 0

    def write(self, record: Record, route: str | None, begun: int, now: int) -> None:
        """Writes the record of a decision that began at `begun`, by `time.monotonic_ns`."""
        if self.audit is None:
            return
        try:
            line = record(route, (time.monotonic_ns() - begun) // 1000, now)
            if line is None:
                return
            log.info("%s", line)
            if self.audit.to is not None:
                self.audit.to(line)
        except Exception as failure:
            self._lost += 1
            faults.warning("an audit record was lost: %s", str(failure) or type(failure).__name__)

    def counters(self, told: dict[str, Any]) -> dict[str, Any]:
        """What the core counted, and how many records were lost."""
        return {**told, "keybound_audit_dropped_total": self._lost}
