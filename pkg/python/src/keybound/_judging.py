"""Judging requests to a resource as a generator that does no IO, with what is remembered between them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from . import _keybound
from ._issuers import Introspection, IssuerProfile, checked_url, name_of, profiled
from ._options import check_known, flag, one, text, texts, whole
from ._turns import Turns
from ._types import current, given
from .errors import Misuse, ProofRejected, Refused, StoreUnavailable, refusal_of, reraise, translated
from .intents import Intent
from .policy import Nonces, Policy
from .principal import Access, Principal, principal_of
from .stores import AsyncReplayStore, ReplayEntry, ReplayStore
from .transport import HttpResponse
from .verifier import refusal, store_answer

if TYPE_CHECKING:
    from typing_extensions import Required

__all__ = ["Headers", "Proxies", "Resource", "ResourceOptions", "check_server_options", "usual_policy"]

#: How old keys of an issuer may be before they are fetched again, and how old if they cannot be, in seconds.
KEYS_KEPT, KEYS_STALE = 600, 86_400
#: The shortest time between two attempts to fetch them, in seconds: anyone can name a key that nobody has.
KEYS_AGAIN = 10
#: How long an introspection answer that denies a token is kept, in seconds; and how many are kept.
DENIED_KEPT, DENIED_MAX, DENIED = 5, 1024, b'{"active":false}'
#: How many introspection questions are under way at a time, how many requests wait for their turn, and for how long, in seconds: tokens
#: that no one knows are sent by strangers, and everything is bounded that they can cause.
ASKED_AT_ONCE, ASKED_NEXT, ASKED_WITHIN = 64, 1024, 10

Headers = Sequence[tuple[str, bytes]]
#: What judging a request waits for: keys of an issuer, an answer about a token, an entry's insertion.
Asks = Generator[tuple[str, Any], Any, Principal]
#: The same of carrying out an intent: the entry's insertion.
Carried = Generator[ReplayEntry, Any, Intent]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxies:
    """Proxies whose fields say under which origin a request came: trusted by address alone, with one family of fields.

    `hops` says which value counts, from the right, where proxies append theirs; 0 where they replace what came in.
    """

    addresses: tuple[str, ...]
    family: Literal["forwarded", "x_forwarded", "x_forwarded_with_port"]
    hops: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "addresses", tuple(texts("addresses", self.addresses)))
        text("family", self.family)
        whole("hops", self.hops)


class ResourceOptions(TypedDict, total=False):
    """The options of :class:`~keybound.ResourceServer` and :class:`~keybound.AsyncResourceServer`."""

    resource: Required[str]
    """The identifier of the resource (RFC 8707): an `https` URL."""
    issuers: Sequence[str] | Mapping[str, IssuerProfile]
    """The authorization servers whose JWT access tokens are taken, found by their metadata. A list for tokens as RFC 9068 describes them; a
    dict for servers that write others: `{"https://id.example.com/realms/main": "keycloak"}`."""
    introspection: Introspection | None
    """Who is asked about other tokens."""
    policy: Policy | None
    """What proofs have to be like; with nonces otherwise."""
    schemes: Literal["dpop", "dpop_and_bearer", "bearer"] | None
    """What is admitted: bound tokens alone otherwise."""
    audiences: Sequence[str]
    """Values of `aud` besides the identifier of the resource."""
    token_algorithms: Sequence[str] | None
    """With what access tokens may be signed."""
    leeway: int | None
    """How far clocks may differ, in seconds."""
    require_client_id: bool
    """Refuses tokens that name no client."""
    realm: str | None
    """The realm of challenges."""
    scope: str | None
    """The scope that challenges ask for."""
    scopes: Sequence[str]
    """The scopes of the metadata."""
    name: str | None
    """The name in the metadata."""
    documentation: str | None
    """The documentation in the metadata."""
    intents_at: Sequence[str]
    """Paths, as clients see them, whose handlers call :meth:`Principal.carry_out <keybound.Principal.carry_out>`; `/x/*` is all
    below `/x/`. Everywhere else a token with `authorization_details` (RFC 9396) is refused: it is good for nothing else."""
    origin: str | None
    """The origin of targets: that of `resource` otherwise."""
    also_origins: Sequence[str]
    """Further origins that requests may be for."""
    path_prefix: str | None
    """What a proxy removes from paths."""
    mount_path: str | None
    """Where the application is mounted below the root of its server, decoded: `/app`. A request that states another place is refused."""
    proxies: Proxies | None
    """Proxies that say under which origin requests came."""
    allow_loopback: bool
    """Permits `http` servers on this machine."""


#: All options of both servers.
SERVER_OPTIONS = (*ResourceOptions.__annotations__, "store", "transport", "workers")


def check_server_options(options: Mapping[str, object], *more: str) -> None:
    """Raises :class:`Misuse` for what is neither an option of a server nor one of those `more`."""
    check_known(options, (*SERVER_OPTIONS, *more))


class Resource:
    """What both servers share: options, metadata, and judging as a generator that does no IO."""

    store: AsyncReplayStore | ReplayStore
    """Remembers used proofs."""
    _has_warned = False
    _alone: bool
    """Whether it is stated that one process serves the resource."""

    def __init__(
        self,
        *,
        resource: str | None = None,
        issuers: Sequence[str] | Mapping[str, IssuerProfile] = (),
        introspection: Introspection | None = None,
        policy: Policy | None = None,
        schemes: Literal["dpop", "dpop_and_bearer", "bearer"] | None = None,
        audiences: Sequence[str] = (),
        token_algorithms: Sequence[str] | None = None,
        leeway: int | None = None,
        require_client_id: bool = False,
        realm: str | None = None,
        scope: str | None = None,
        scopes: Sequence[str] = (),
        name: str | None = None,
        documentation: str | None = None,
        intents_at: Sequence[str] = (),
        origin: str | None = None,
        also_origins: Sequence[str] = (),
        path_prefix: str | None = None,
        mount_path: str | None = None,
        proxies: Proxies | None = None,
        epoch: str | None = None,
        allow_loopback: bool = False,
    ) -> None:
        for option, value, kind in (
            ("policy", policy, Policy),
            ("introspection", introspection, Introspection),
            ("proxies", proxies, Proxies),
        ):
            one(option, value, kind)
        for option, given_text in (
            ("resource", resource),
            ("schemes", schemes),
            ("realm", realm),
            ("scope", scope),
            ("name", name),
            ("documentation", documentation),
            ("origin", origin),
            ("path_prefix", path_prefix),
            ("mount_path", mount_path),
        ):
            text(option, given_text)
        if not resource:
            raise Misuse("missing_option", "resource is missing; write resource='https://api.example.com', the identifier of what is protected")
        profiles, allow_loopback = profiled(issuers), flag("allow_loopback", allow_loopback)
        if not profiles and introspection is None:
            raise Misuse("missing_option", "a resource accepts tokens of somebody: name issuers, or an introspection endpoint")
        for url in [*profiles, *([introspection.url] if introspection else [])]:
            checked_url(url, allow_loopback)
        options = given(
            resource=resource,
            issuers=[{"issuer": issuer, "profile": profile} for issuer, profile in profiles.items()],
            introspection=introspection is not None,
            introspection_profile=introspection and introspection.profile,
            schemes=schemes,
            audiences=texts("audiences", audiences),
            token_algorithms=texts("token_algorithms", token_algorithms),
            require_client_id=flag("require_client_id", require_client_id),
            realm=realm,
            challenge_scope=scope,
            publish_metadata=True,
            scopes=texts("scopes", scopes),
            name=name,
            documentation=documentation,
            intents_at=texts("intents_at", intents_at),
            origin=origin,
            also_origins=texts("also_origins", also_origins),
            path_prefix=path_prefix,
            mount_path=mount_path,
        )
        if whole("leeway", leeway) is not None:
            options["leeway"] = leeway
        if proxies is not None:
            addresses = list(proxies.addresses)
            options["proxies"] = {"addresses": addresses, "family": proxies.family, "hops": proxies.hops}
        self.policy = policy or usual_policy()
        self.mount_path = mount_path or ""
        self._introspection = introspection
        self._options = json.dumps(options)
        self._epoch = epoch
        self._native = self._made(epoch)
        self._keys: dict[str, tuple[float, _keybound.NativeJwkSet]] = {}
        self._tried: dict[str, float] = {}
        self._denied: dict[bytes, float] = {}
        self._denying = threading.Lock()
        self._asking = Turns(ASKED_AT_ONCE, waiting=ASKED_NEXT)

    def _made(self, epoch: str | None) -> _keybound.NativeResourceServer:
        try:
            return _keybound.NativeResourceServer(self._options, self.policy.options(), epoch)
        except _keybound.NativeError as error:
            reraise(error)

    def _live(self, epoch: str) -> _keybound.NativeResourceServer:
        """The server for the store's present life, which its nonces vouch for."""
        if epoch != self._epoch:
            self._native, self._epoch = self._made(epoch), epoch
        return self._native

    def metadata(self) -> bytes:
        """The metadata document (RFC 9728 section 2): JSON, to be served at :attr:`metadata_path` without a token."""
        return self._native.metadata().encode()

    @property
    def metadata_path(self) -> str:
        """The path of the metadata: below `/.well-known/oauth-protected-resource`."""
        return self._native.metadata_path()

    @property
    def metadata_url(self) -> str:
        """The URL of the metadata."""
        return self._native.metadata_url()

    def route(self, *, target: bytes, mount_path: bytes, path: bytes) -> str:
        """The decoded path that the application routes a request by, once it is known that the request did not choose its mount point.

        `target` is the raw request target, `mount_path` and `path` what the server states, decoded: `SCRIPT_NAME` and `PATH_INFO` in
        WSGI; in ASGI `root_path`, and what `path` has behind it. Ask this first: what needs no token is looked up by the answer alone.

        Raises :class:`~keybound.Refused` with status 400 if the request states another mount point than the option `mount_path`, or if
        its target is not that mount point followed by the path.
        """
        routed, refused = self._native.route(target, mount_path, path)
        if routed is None:
            assert refused is not None
            raise Refused(refusal(refused))
        return routed

    def _judge(
        self,
        epoch: str,
        method: str,
        target: bytes | None,
        url: str | None,
        headers: Headers,
        peer: str | None,
        now: int | None,
    ) -> Asks:
        fields, server = [(name, value) for name, value in headers], self._live(epoch)
        if target is not None:
            native = server.receive_raw(method, target, peer, fields, current(now))
        elif url is not None:
            native = server.receive(method, url, fields, current(now))
        else:
            raise Misuse("missing_option", "give the raw request target, or the whole URL")
        access = Access(server, native, self)
        asked: str | None = None
        try:
            while True:
                state = json.loads(native.state())
                if state["state"] == "granted":
                    return principal_of(state["principal"], access)
                if state["state"] == "refused":
                    refusal = refusal_of(state["refusal"])
                    # The core has read the answer; what it calls inactive is.
                    if asked is not None and refusal.reason == "token_inactive":
                        self._deny(asked)
                    raise Refused(refusal)
                if state["state"] == "insert":
                    entry = native.entry
                    assert entry is not None
                    answer = yield "insert", ReplayEntry(entry)
                    native.settle(store_answer(answer).value, current(now))
                elif state["state"] == "keys":
                    keys = yield "keys", (state["issuer"], native)
                    native.unavailable() if keys is None else native.keys(keys, current(now))
                else:
                    token = state["token"]
                    if self._is_denied(token):
                        native.introspected(DENIED, current(now))
                        continue
                    told = yield "introspection", token
                    native.unavailable() if told is None else native.introspected(told, current(now))
                    asked = token
        except _keybound.NativeError as error:
            reraise(error)

    def _carry_out(self, principal: Principal, method: str, url: str, body: bytes, now: int | None) -> Carried:
        """Carries out an intent: yields the entry to insert into the replay store."""
        server, native = principal.access.server, principal.access.native
        try:
            entry = server.carry_out(native, method, url, body, current(now))
            answer = yield ReplayEntry(entry)
            server.used_up(native, method, url, body, store_answer(answer).value, current(now))
        except _keybound.NativeError as error:
            refused = translated(error)
            if isinstance(refused, ProofRejected | StoreUnavailable) and refused.refusal is not None:
                raise Refused(refused.refusal) from None
            raise refused from None
        return principal.intent()

    def _kept_keys(self, issuer: str, native: _keybound.NativeAccess) -> tuple[_keybound.NativeJwkSet | None, bool]:
        """The issuer's keys, if they are here, and whether they are to be fetched."""
        now = time.monotonic()
        may_fetch = now - self._tried.get(issuer, -KEYS_AGAIN) >= KEYS_AGAIN
        known = self._keys.get(issuer)
        if known is None or now - known[0] > KEYS_STALE:
            return None, may_fetch
        fetched, keys = known
        is_good = now - fetched < KEYS_KEPT and native.is_answered_by(keys)
        return keys, may_fetch and not is_good

    def _keep_keys(self, issuer: str, response: HttpResponse) -> _keybound.NativeJwkSet:
        if response.status != 200:
            raise OSError(f"the keys of {issuer} were answered with status {response.status}")
        keys = _keybound.NativeJwkSet(response.body)
        self._keys[issuer] = (time.monotonic(), keys)
        return keys

    def _is_denied(self, token: str) -> bool:
        until = self._denied.get(name_of(token))
        return until is not None and time.monotonic() < until

    def _deny(self, token: str) -> None:
        with self._denying:
            while len(self._denied) >= DENIED_MAX:
                self._denied.pop(next(iter(self._denied)))
            self._denied[name_of(token)] = time.monotonic() + DENIED_KEPT


def usual_policy() -> Policy:
    """With nonces, so that a proof from before a start is answered by a nonce and never by an error."""
    return Policy(nonces=Nonces())
