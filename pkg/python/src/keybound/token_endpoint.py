"""An authorization server's endpoints, as far as proofs are concerned (RFC 9449 sections 5 and 10)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic_ns
from typing import Any, Literal

from . import _keybound
from ._arguments import made_by_name
from ._options import one, texts
from ._resource import Breaker, Limit, guards
from ._types import Insertion, current, given
from .audit import Audit, Records
from .errors import NATIVE, KeyboundError, Misuse, StoreUnavailable, reraise
from .policy import Policy
from .presented import Proofs, field_values
from .stores import Inserted, ReplayEntry, ReplayStore, check_store, inserted_by, store_answer

__all__ = ["Admission", "Admitted", "AuthorizationServer", "Grant"]


@made_by_name
@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a request to the authorization server is about.

    `bound_to` is the thumbprint that is stored with the code, device code or refresh token; `confirmed` are those in the `cnf` of
    tokens that are shown (`derived`: token exchange and assertions); `form` is the body of a pushed or device request
    (`announcement`), whose `dpop_jkt` is read.
    """

    type: Literal["authorization_code", "refresh_token", "device_code", "client_credentials", "derived", "announcement"]
    bound_to: str | None = None
    confirmed: Sequence[str] = ()
    may_rebind: bool = False
    form: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "confirmed", tuple(texts("confirmed", self.confirmed)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """What the tokens of an admitted request get."""

    access_binding: str | None
    """The `cnf.jkt` of the access token; none makes it a Bearer token."""
    refresh_binding: str | None
    """The thumbprint to store with the refresh token: those of public clients alone are bound."""
    announced: str | None
    """The thumbprint to store with a pushed or device request."""
    token_type: Literal["DPoP", "Bearer"]
    next_nonce: str | None
    """The value of `DPoP-Nonce` in the answer, if there is one."""


class Admission:
    """A request whose proof is good, replay apart. Only after :meth:`settle` may codes and tokens be used up."""

    __slots__ = ("_admitted", "_begun", "_epoch", "_flow", "_records")

    def __init__(self, flow: _keybound.Flow, epoch: str | None, records: Records, begun: int, now: int) -> None:
        self._flow, self._epoch, self._records, self._begun = flow, epoch, records, begun
        self._admitted = self._came_to(flow.step(), now)

    @property
    def entry(self) -> ReplayEntry | None:
        """What goes into the replay store, after client authentication and the lookup of the grant; `None` without a proof."""
        entry = self._flow.entry()
        return None if entry is None else ReplayEntry(entry)

    def settle(self, insertion: Insertion | Inserted, *, now: int | None = None) -> Admitted:
        """Admits or refuses the request by the store's answer."""
        answer, epoch = store_answer(insertion), insertion.epoch if isinstance(insertion, Inserted) else self._epoch
        reply = {"inserted": given(insertion=answer.value, epoch=epoch)}
        try:
            self._admitted = self._came_to(self._flow.resume(json.dumps(reply), current(now)), current(now))
        except NATIVE as error:
            reraise(error)
        return self.admitted()

    def admitted(self) -> Admitted:
        """What the tokens get. Raises :class:`~keybound.Misuse` if it is not settled."""
        if self._admitted is None:
            raise Misuse("not_settled", "insert the entry into the replay store and settle it first")
        return self._admitted

    def _came_to(self, told: str, now: int) -> Admitted | None:
        """What the tokens get, if the flow has ended. Raises its refusal."""
        step: dict[str, Any] = json.loads(told)
        if step["step"] != "done":
            return None
        self._records.write(self._flow.record, None, self._begun, now)
        return _bound(step["result"])


def _bound(result: dict[str, Any]) -> Admitted:
    if result["kind"] == "refused":
        raise _keybound.NativeError(result["error"])
    admitted = result["admitted"]
    return Admitted(
        access_binding=admitted.get("access_binding"),
        refresh_binding=admitted.get("refresh_binding"),
        announced=admitted.get("announced"),
        token_type=admitted["token_type"],
        next_nonce=admitted.get("next_nonce"),
    )


class AuthorizationServer:
    """Judges the proofs of requests to an authorization server. It holds no store, no clients and no clock."""

    __slots__ = ("_native", "_policy", "_records")

    def __init__(
        self,
        *,
        policy: Policy | None = None,
        nonces_for_public_clients: bool = False,
        unbound_access_tokens: bool = False,
        limit_addresses: Limit | None = None,
        limit_keys: Limit | None = None,
        breaker: Breaker | None = None,
        audit: Audit | None = None,
    ) -> None:
        """`nonces_for_public_clients` asks these alone for nonces; `unbound_access_tokens` binds refresh tokens alone.

        `limit_addresses` limits the requests of each `peer`, `limit_keys` those made with a key that a grant names: too many are refused with
        429. `breaker` leaves a store alone that fails. `audit` writes a record of each decision.
        """
        self._policy = one("policy", policy, Policy) or Policy()
        options = json.loads(self._policy.options())
        options["nonces_for_public_clients"] = nonces_for_public_clients
        options["unbound_access_tokens"] = unbound_access_tokens
        options |= guards({"limit_addresses": limit_addresses, "limit_keys": limit_keys, "breaker": breaker})
        self._records = Records(one("audit", audit, Audit))
        if audit is not None:
            options["audit"] = audit.told()
        try:
            self._native = _keybound.AuthorizationServer(json.dumps(options))
        except NATIVE as error:
            reraise(error)

    def check(
        self,
        *,
        method: str,
        url: str,
        proof: Proofs,
        client: Literal["public", "confidential"],
        grant: Grant,
        must_bind: bool = False,
        epoch: str | None = None,
        peer: str | None = None,
        now: int | None = None,
    ) -> Admission:
        """Makes every check but replay. `url` is the endpoint's own, from configuration; `epoch` is that of the replay store, which nonces
        vouch for; `peer` is the address that the request came from, which `limit_addresses` counts by.

        `must_bind` is for clients registered with `dpop_bound_access_tokens`. Raises :class:`~keybound.ProofRejected` with the
        answer to send.
        """
        told: dict[str, Any] = {"type": grant.type, "may_rebind": grant.may_rebind, "confirmed": list(grant.confirmed)}
        if grant.bound_to is not None:
            told["bound_to"] = grant.bound_to
        if grant.form is not None:
            told["form"] = grant.form.decode("latin-1")
        request: dict[str, Any] = {"method": method, "url": url, "client": client, "grant": told, "must_bind": must_bind}
        # Where the program gives the time, limits go by that.
        ticks = monotonic_ns() // 1_000_000 if now is None else None
        request |= {name: value for name, value in (("epoch", epoch), ("peer", peer), ("ticks", ticks)) if value is not None}
        begun = monotonic_ns()
        try:
            proofs = [value.decode("latin-1") for value in field_values(proof)]
            at = current(now)
            return Admission(self._native.admit(json.dumps(request), proofs, at), epoch, self._records, begun, at)
        except NATIVE as error:
            reraise(error)

    def admit(self, *, store: ReplayStore, now: int | None = None, **request: Any) -> Admitted:
        """Checks a request, with the arguments of :meth:`check`, and consumes its proof in `store`."""
        check_store(store, self._policy)
        admission = self.check(epoch=store.epoch, now=now, **request)
        entry = admission.entry
        if entry is None:
            return admission.admitted()
        try:
            answer = store.insert(entry, now=current(now))
        except KeyboundError:
            raise
        except Exception as failure:
            # No one knows whether the proof was used: 503, and not an error of the application.
            try:
                return admission.settle(Insertion.UNAVAILABLE, now=now)
            except StoreUnavailable as error:
                raise error from failure
        return admission.settle(inserted_by(store, answer), now=now)

    def counters(self) -> dict[str, Any]:
        """What was decided so far, as of :meth:`ResourceServer.counters <keybound.ResourceServer.counters>`."""
        return self._records.counters(json.loads(self._native.counters()))

    def fresh_nonce(self, *, epoch: str, now: int | None = None) -> str | None:
        """A nonce for the next proof in this epoch of the replay store; `None` if none are issued."""
        try:
            return self._native.fresh_nonce(epoch, current(now))
        except NATIVE as error:
            reraise(error)

    def metadata(self, issuer: str) -> dict[str, Any]:
        """The members that the server's metadata gets (RFC 9449 section 5.1)."""
        members: dict[str, Any] = json.loads(self._native.metadata(issuer))
        return members
