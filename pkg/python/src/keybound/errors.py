"""What goes wrong, by whose fault: one tree of exceptions, each with a stable `reason` for programs."""

from __future__ import annotations

import copyreg
import json
from typing import Any, NoReturn, TypeAlias

from . import _keybound
from ._reasons import FlowReason, HostReason, MisuseReason, OwnReason, RedisReason
from ._types import Refusal, RefusalReason

__all__ = [
    "BindingMismatch",
    "FlowFailed",
    "HostFailed",
    "IntentRejected",
    "KeyboundError",
    "LockTimeout",
    "LoginRequired",
    "Misuse",
    "NonceRequired",
    "ProofRejected",
    "Reason",
    "Refused",
    "ReplayDetected",
    "StoreUnavailable",
]

#: Every reason of an error. docs/reasons.md and docs/errors explain each.
Reason: TypeAlias = RefusalReason | FlowReason | MisuseReason | RedisReason | HostReason | OwnReason


class KeyboundError(Exception):
    """The root of all errors of this package.

    `reason` is a stable name, one of :data:`Reason`, so that type checkers find a misspelt one; `detail` says what was wrong and what to do; neither holds tokens or keys.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason
        self.detail = detail

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.reason!r}, {self.detail!r})"

    def __reduce__(self) -> Any:
        # Without a call of `__init__`, whose arguments are others than `args`: an error that a worker process cannot send to its parent
        # makes that one wait for ever.
        return copyreg.__newobj__, (type(self), *self.args), vars(self)  # type: ignore[attr-defined]


class Misuse(KeyboundError):
    """The caller is wrong: an argument or an option. The detail says what to do instead."""


class HostFailed(KeyboundError):
    """The caller's surroundings failed: network, storage, randomness. The cause, if there is one, is `__cause__`."""


class StoreUnavailable(HostFailed):
    """The replay store could not decide, so the proof was not accepted: answer 503 with `refusal`."""

    def __init__(self, reason: Reason, detail: str, refusal: Refusal | None = None) -> None:
        super().__init__(reason, detail)
        self.refusal = refusal


class LockTimeout(HostFailed):
    """Another task, thread or process held the lock of a session for as long as one may. Nothing was sent: try again later."""

    def __init__(self, lock: str, seconds: float) -> None:
        """For stores of your own: the lock's name, and how long it was waited for."""
        detail = f"the lock {lock!r} was not given back within {seconds:g} s; try again later, or end the process that holds it"
        super().__init__("lock_timeout", detail)


class ProofRejected(KeyboundError):
    """A proof was refused (RFC 9449 section 4.3).

    `section` says where the rule stands, `code` and `status` what goes over the wire, `refusal` is the whole answer to send.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str,
        *,
        section: str | None = None,
        code: str | None = None,
        status: int | None = None,
        refusal: Refusal | None = None,
    ) -> None:
        super().__init__(reason, detail)
        self.section = section
        self.code = code
        self.status = status
        self.refusal = refusal


class NonceRequired(ProofRejected):
    """The proof needs a nonce of this server, which `refusal` brings along (RFC 9449 sections 8 and 9)."""


class ReplayDetected(ProofRejected):
    """The proof was used before (RFC 9449 section 11.1)."""


class BindingMismatch(ProofRejected):
    """The proof was made with another key than the token, code or refresh token is bound to (RFC 9449 section 6)."""


class IntentRejected(KeyboundError):
    """An intent does not permit this request, or was not granted as declared (RFC 9396)."""


class Refused(KeyboundError):
    """A request to a protected resource was not admitted: send `refusal`."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason, f"the request was refused: {refusal.reason}")
        self.refusal = refusal


class FlowFailed(KeyboundError):
    """A flow of the OAuth client ended without its result.

    `code` and `status` are those of the server's answer, where it denied the request.
    """

    def __init__(self, reason: Reason, detail: str, *, code: str | None = None, status: int | None = None) -> None:
        super().__init__(reason, detail)
        self.code = code
        self.status = status


class LoginRequired(FlowFailed):
    """Only a new login helps: there is no session, its key is gone, or the server has ended it."""


def refusal_of(told: dict[str, Any]) -> Refusal:
    """The answer that the core wrote."""
    headers = tuple((name, value) for name, value in told["headers"])
    return Refusal(
        status=told["status"],
        reason=told["reason"],
        error=told.get("error"),
        headers=headers,
        body=told["body"].encode(),
    )


#: What a call of the native module raises: its own error, and those of arguments that are no text or no number of its own.
NATIVE = (_keybound.NativeError, UnicodeEncodeError, OverflowError)


def translated(error: BaseException) -> KeyboundError:
    """The exception for an error of the native module."""
    if isinstance(error, UnicodeEncodeError):
        return Misuse("not_text", "an argument holds lone surrogates; decode what was received as latin-1, or refuse it")
    if isinstance(error, OverflowError):
        return Misuse("out_of_range", "a number is outside its range; times are in whole seconds since 1970")
    told: dict[str, Any] = json.loads(error.args[0])
    kind, reason, detail = told["kind"], told["reason"], told["detail"]
    code, status = told.get("code"), told.get("status")
    refusal = refusal_of(told["refusal"]) if "refusal" in told else None
    if kind == "misuse":
        return Misuse(reason, detail)
    if kind == "flow":
        return (LoginRequired if told.get("needs_login") else FlowFailed)(reason, detail, code=code, status=status)
    if kind == "host":
        return StoreUnavailable(reason, detail, refusal) if refusal is not None else HostFailed(reason, detail)
    if "section" not in told and refusal is None:
        return IntentRejected(reason, detail)
    kinds = {"replayed": ReplayDetected, "binding_mismatch": BindingMismatch}
    rejected = NonceRequired if code == "use_dpop_nonce" else kinds.get(reason, ProofRejected)
    return rejected(reason, detail, section=told.get("section"), code=code, status=status, refusal=refusal)


def reraise(error: BaseException) -> NoReturn:
    """Raises the exception for an error of the native module in its place."""
    raise translated(error) from None
