"""What is presented to a verifier, and what it says of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, overload

from ._arguments import made_by_name
from ._options import flag
from ._reasons import CheckName, Rejection
from .errors import Misuse

__all__ = ["Check", "Explanation", "Presented", "Proofs", "VerifiedProof", "field_values"]

#: The value of the `DPoP` field, all its values, or none.
Proofs = str | bytes | Sequence[str | bytes] | None

#: What to write in each of the two places where proofs are checked.
WAYS = "a resource server writes access_token=…, bound_to=…, and a token endpoint, where there is no access token yet, at_authorization_server=True"


@dataclass(frozen=True, slots=True)
class VerifiedProof:
    """What an accepted proof says."""

    thumbprint: str
    """The thumbprint of the key that made it."""
    algorithm: str
    """Its algorithm."""
    issued_at: int
    """Its `iat`, in seconds since 1970."""
    next_nonce: str | None
    """The nonce to hand out with the answer (`DPoP-Nonce`), when the present one ends soon."""


@made_by_name
@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """A request as far as its proof is concerned.

    `url` is the target from configuration and the raw path: never from a decoded path or an unchecked `Host`. `proof` is the value
    of the `DPoP` field, or all values.

    A resource server gives `access_token`, without its scheme, and `bound_to`, the thumbprint in its `cnf.jkt`. A token endpoint says
    `at_authorization_server=True`: there is no access token yet, so that a proof made for any token, or for none, passes, and `bound_to` is
    the key that the code or refresh token is bound to. Both, or neither, is :class:`~keybound.Misuse`.
    """

    proof: Proofs
    method: str
    url: str
    access_token: str | None = None
    bound_to: str | None = None
    at_authorization_server: bool = False
    expected_nonce: str | None = None
    epoch: str | None = None
    """The epoch of the replay store, whose present life nonces vouch for. `Verifier.verify` asks the store itself."""

    if TYPE_CHECKING:

        @overload
        def __init__(
            self,
            *,
            proof: Proofs,
            method: str,
            url: str,
            access_token: str,
            bound_to: str,
            expected_nonce: str | None = None,
            epoch: str | None = None,
        ) -> None: ...
        @overload
        def __init__(
            self,
            *,
            proof: Proofs,
            method: str,
            url: str,
            at_authorization_server: Literal[True],
            bound_to: str | None = None,
            expected_nonce: str | None = None,
            epoch: str | None = None,
        ) -> None: ...
        def __init__(self, **members: Any) -> None: ...

    def __post_init__(self) -> None:
        if flag("at_authorization_server", self.at_authorization_server):
            if self.access_token is not None:
                raise Misuse("options_exclude", f"access_token and at_authorization_server exclude each other; {WAYS}")
        elif self.access_token is None:
            raise Misuse("missing_option", f"a proof is checked against the access token it came with; {WAYS}")

    def __repr__(self) -> str:
        return f"Presented({self.method} {self.url!r})"

    @property
    def _proofs(self) -> list[bytes]:
        return field_values(self.proof)


def field_values(proofs: Proofs) -> list[bytes]:
    """All values of the `DPoP` field."""
    given = [] if proofs is None else [proofs] if isinstance(proofs, (str, bytes)) else proofs
    return [proof.encode("latin-1", "replace") if isinstance(proof, str) else proof for proof in given]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What came of one check of an explanation. Texts are for people and may change."""

    check: CheckName
    """Its name, as :func:`~keybound.reasons` lists it."""
    outcome: Literal["passed", "failed", "not_judged"]
    """What came of it. A check is made unless it depends on one that failed."""
    reason: Rejection | None = None
    """Why it failed. That of the first failed check is the verdict; verification does not get to the others."""
    section: str | None = None
    """Where that is required."""
    because: CheckName | None = None
    """The failed check on which this one depends, if it was not judged for that."""
    expected: str | None = None
    """What the check asks for; this and the next three of a check that failed."""
    found: str | None = None
    """What the proof has instead."""
    cause: str | None = None
    """What most likely led to it."""
    fix: str | None = None
    """What to do."""
    note: str | None = None
    """Something else worth knowing, of any check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What came of every check, in order. `str()` gives it as text. It is for developers, not for the peer."""

    accepted: bool
    """Whether every check but replay was passed; an explanation consumes nothing."""
    reason: Rejection | None
    """The reason of the refusal, as :attr:`KeyboundError.reason`; none if it is accepted."""
    section: str | None
    """The section that asks for it, such as `RFC 9449 section 4.3`."""
    checks: tuple[Check, ...]
    """All checks in the order they are made."""

    @property
    def failure(self) -> Check | None:
        """The check that gave the verdict: the first that failed."""
        return next(iter(self.failures), None)

    @property
    def failures(self) -> tuple[Check, ...]:
        """All checks that failed. Each is made that does not depend on a failed one."""
        return tuple(check for check in self.checks if check.outcome == "failed")

    def __str__(self) -> str:
        marks = {"passed": "ok", "failed": "FAILED", "not_judged": "-"}
        lines = []
        for check in self.checks:
            title = f" [{check.reason}, {check.section}]" if check.outcome == "failed" else ""
            if check.because is not None:
                title = f" (not judged because of {check.because})"
            lines.append(f"{marks[check.outcome]:<6}  {check.check}{title}")
            for name in ("expected", "found", "cause", "fix"):
                text = getattr(check, name)
                if text is not None:
                    lines.append(f"        {name:<8}  {text}")
            if check.note is not None:
                lines.append(f"        {check.note}")
        return "\n".join(lines)
