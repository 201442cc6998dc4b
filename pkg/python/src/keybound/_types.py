"""Plain values that several modules share."""

from __future__ import annotations

import enum
import time
from dataclasses import dataclass
from typing import Any, TypeAlias

from ._reasons import IntentRejection, OtherRejection, Rejection, TokenRejection

__all__ = ["Insertion", "Protection", "Refusal", "RefusalReason", "SecurityLevel", "current", "given"]

#: Why a request is refused.
RefusalReason: TypeAlias = Rejection | TokenRejection | IntentRejection | OtherRejection


class SecurityLevel(str, enum.Enum):
    """How much a session is protected; a live session is never lowered."""

    STANDARD = "standard"
    """OAuth 2.1 with PKCE: Bearer tokens, which whoever steals them can use."""
    ENHANCED = "enhanced"
    """Tokens bound to a key (RFC 9449); a server that binds none is refused."""
    MAXIMUM = "maximum"
    """The same with keys in hardware, pushed requests, server nonces and an intent for each session."""


class Protection(str, enum.Enum):
    """Where a key lives, as its host claims; there is no order among them."""

    SOFTWARE = "software"
    OS_STORE = "os_store"
    BROWSER_NON_EXTRACTABLE = "browser_non_extractable"
    TEE = "tee"
    STRONG_BOX = "strong_box"
    SECURE_ENCLAVE = "secure_enclave"
    HSM = "hsm"
    REMOTE_KMS = "remote_kms"


class Insertion(str, enum.Enum):
    """A replay store's answer to one entry. Only `FRESH` accepts the proof."""

    FRESH = "fresh"
    """It was not there and now is, in one atomic step."""
    SEEN = "seen"
    """It was there before: a replay."""
    UNAVAILABLE = "unavailable"
    """The store cannot answer, or the entry is of a verifier with other settings."""
    FULL = "full"
    """There is no room, and no live entry is given up for it."""
    SHARE_FULL = "share_full"
    """The store is more than half full, and this key holds its share of it: other keys are served."""
    BEFORE_FLOOR = "before_floor"
    """The store cannot vouch for the time the proof speaks of: it began later, or has forgotten since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer to send instead of what was asked for, exactly as it is."""

    status: int
    """The HTTP status."""
    reason: RefusalReason
    """The reason, for logs. Not for the peer."""
    error: str | None
    """The error code on the wire."""
    headers: tuple[tuple[str, str], ...]
    """All header fields."""
    body: bytes
    """The body; empty at a protected resource."""


def current(now: int | None) -> int:
    """The caller's time, or the clock's, in whole seconds since 1970."""
    return int(time.time()) if now is None else now


def given(**options: Any) -> dict[str, Any]:
    """The options that were given: neither `None`, `False` nor empty."""
    return {name: value for name, value in options.items() if value not in (None, False, (), [], "")}
