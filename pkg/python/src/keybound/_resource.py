"""The options of a protected resource, and its requests as flows that both servers drive."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from . import _keybound
from ._cors import Cors
from ._drive import Finished, Flow, Works, drive
from ._arguments import made_by_name
from ._options import Headers, check_known, fields, flag, function, one, text, texts, whole
from ._types import Refusal, current, given
from .audit import Audit, Records
from .errors import NATIVE, Misuse, Refused, refusal_of, reraise
from .intents import Intent
from .policy import Policy
from .principal import Principal, principal_of
from .stores import AsyncReplayStore, MemoryReplayStore, ReplayStore, stated_alone

if TYPE_CHECKING:
    from typing_extensions import Required

__all__ = ["Breaker", "Incoming", "Introspection", "IssuerProfile", "Limit", "Proxies", "Resource", "ResourceOptions", "Unconsumed", "check_server_options"]

log = logging.getLogger("keybound")
#: How much of a path a log shows, in characters.
PATH_SHOWN = 200

#: What the access tokens of an issuer look like: as RFC 9068 says, or as these servers write them.
IssuerProfile = Literal["rfc9068", "keycloak", "auth0", "okta", "entra_id", "entra_id_v1", "duende", "cognito"]


@made_by_name
@dataclass(frozen=True, slots=True, kw_only=True)
class Introspection:
    """Asks the authorization server about tokens that are not JWTs (RFC 7662): its endpoint, and who asks.

    `authentication` says how the secret is shown, in the `Authorization` field by default. An active token is believed without another
    question for `remembered_for` seconds: 0 by default, at most 60; a revocation counts that much later. `profile` says how to read answers
    that name none of the issuers of the resource, for a server that has a profile of its own.
    """

    url: str
    client_id: str
    client_secret: str = field(repr=False)
    profile: IssuerProfile | None = None
    authentication: Literal["client_secret_basic", "client_secret_post"] | None = None
    remembered_for: int | None = None

    def __post_init__(self) -> None:
        text("profile", self.profile)
        text("authentication", self.authentication)
        whole("remembered_for", self.remembered_for)
        for option in ("url", "client_id", "client_secret"):
            if text(option, getattr(self, option)) is None:
                raise Misuse("missing_option", f"an Introspection needs {option}")


@made_by_name
@dataclass(frozen=True, slots=True, kw_only=True)
class Proxies:
    """Proxies whose fields say under which origin a request came: trusted by address alone, with one family of fields.

    `hops` says which value counts, from the right, where proxies append theirs; 0 where they replace what came in. `client_addresses` says that
    they set `X-Forwarded-For` as well, which limits by address need: of a field that they pass on as it came, every client chooses its address.
    `Forwarded` has the address in any case.
    """

    addresses: tuple[str, ...]
    family: Literal["forwarded", "x_forwarded", "x_forwarded_with_port"]
    hops: int = 0
    client_addresses: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "addresses", tuple(texts("addresses", self.addresses)))
        text("family", self.family)
        whole("hops", self.hops)
        flag("client_addresses", self.client_addresses)


@made_by_name
@dataclass(frozen=True, slots=True)
class Limit:
    """How often something may happen: `rate` times a second, and `burst` times at once after a pause; 1 to 1,000,000 each."""

    rate: int
    burst: int

    def __post_init__(self) -> None:
        for option in ("rate", "burst"):
            if whole(option, getattr(self, option)) is None:
                raise Misuse("missing_option", f"a Limit needs {option}; write Limit(rate=10, burst=20)")


@made_by_name
@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """Leaves a replay store alone for `pause` seconds (1 to 300) after so many `faults` in a row (1 to 1,000), and refuses with 503 at once. Then
    one request tries. What a store that works says is no fault."""

    faults: int = 5
    pause: int = 5

    def __post_init__(self) -> None:
        whole("faults", self.faults)
        whole("pause", self.pause)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A request as a protected resource received it. Its `repr` shows no header field."""

    method: str
    headers: Headers = field(repr=False)
    """A mapping, or pairs, one for each field line. Kept as pairs."""
    target: bytes | None = None
    """The raw request target as received (`/a%2Fb?c`), never a decoded path."""
    url: str | None = None
    """The whole URL instead, where the program knows it."""
    peer: str | None = None
    """The address of the connection: for proxies, and for limits by address."""
    certificate: bytes | None = None
    """The SHA-256 hash of the client's certificate (DER), 32 bytes, where TLS asked for one."""
    route: str | None = None
    """The template of the route, such as `/items/{id}`, for audit records; never the path of the request."""

    def __post_init__(self) -> None:
        if (self.target is None) == (self.url is None):
            raise Misuse("missing_option", "give the raw request target, or the whole URL")
        object.__setattr__(self, "headers", tuple(fields(self.headers)))


@dataclass(frozen=True, slots=True)
class Unconsumed:
    """A request that passed every check but replay. The same proof may have been used before: nothing may be done for the peer by this alone."""

    thumbprint: str | None
    """The key that made the proof; none for a Bearer token."""


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
    limit_addresses: Limit | None
    """How many requests an address may send, whatever they are: IPv4 whole, IPv6 by its first 64 bits. A request beyond that is refused with 429
    before anything of it is read. The address is that of the connection, or what `proxies` vouch for; requests without one share a limit."""
    limit_keys: Limit | None
    """How many requests made with one key are admitted. Copies of a request that was seen are not charged to it."""
    limit_clients: Limit | None
    """How many requests with tokens of one client are admitted, whatever their keys."""
    breaker: Breaker | None
    """Leaves a store of the program's own alone while it fails."""
    allow_loopback: bool
    """Permits `http` servers on this machine."""
    cors: Cors | None
    """Lets pages of other origins call. Leave it out where a CORS middleware of the framework stands around this one."""
    audit: Audit | None
    """Writes a record of each decision."""
    clock: Callable[[], float] | None
    """Tells the time in seconds since 1970: the system's clock otherwise."""
    danger_first_start: bool
    """Says that no earlier process served the resource, as in a test: without a `store`, the memory store takes proofs made before it from its
    first second on, also without nonces. If one did, every proof used just before the restart can be used once more."""


#: All options of both servers.
SERVER_OPTIONS = (*ResourceOptions.__annotations__, "store", "transport", "workers")


def check_server_options(options: Mapping[str, object], *more: str) -> None:
    """Raises :class:`Misuse` for what is neither an option of a server nor one of those `more`."""
    check_known(options, (*SERVER_OPTIONS, *more))


#: Options that are handed to the core as they are: texts, and lists of texts.
TEXTS = ("resource", "schemes", "realm", "scope", "name", "documentation", "origin", "path_prefix", "mount_path")
LISTS = ("audiences", "token_algorithms", "scopes", "intents_at", "also_origins")
LIMITS = ("limit_addresses", "limit_keys", "limit_clients")


class Resource:
    """What both servers share: options, metadata, and requests as flows."""

    _has_warned = False
    _run: Callable[[Flow[Any]], Any]

    def __init__(self, store: AsyncReplayStore | ReplayStore | None, workers: int | None, options: Mapping[str, Any]) -> None:
        check_server_options(options)
        self.policy = one("policy", options.get("policy"), Policy) or Policy()
        self._clock: Callable[[], float] | None = function("clock", options.get("clock"))
        first_start = flag("danger_first_start", options.get("danger_first_start", False))
        if store is not None and first_start:
            raise Misuse("store_option", "a store was given: say danger_first_start where it is made")
        self._store = (
            store
            if store is not None
            else MemoryReplayStore(policy=self.policy, workers=workers, danger_first_start=first_start, now=self._now(None))
        )
        # Whether it is stated that one process serves the resource.
        self._alone = stated_alone(self.store, workers, self.policy)
        self.mount_path = options.get("mount_path") or ""
        self._crosses = options.get("cors") is not None
        self._records = Records(one("audit", options.get("audit"), Audit))
        self._options = dict(options)
        self._make()

    def _make(self) -> None:
        """Makes the core's server: it knows no key of an issuer, and has decided nothing."""
        self._works = Works()
        told = json.dumps(_told(self._options)), self.policy.options()
        try:
            if type(self.store) is MemoryReplayStore:
                self._native = _keybound.ResourceServer.with_store(*told, self.store._native)
            else:
                self._native = _keybound.ResourceServer(*told)
        except NATIVE as error:
            reraise(error)

    def _now(self, now: int | None) -> int:
        """The caller's time, or that of the clock."""
        return current(now) if now is not None or self._clock is None else int(self._clock())

    @property
    def store(self) -> AsyncReplayStore | ReplayStore:
        """Remembers used proofs. The core holds it if it is one of this process."""
        return self._store

    def counters(self) -> dict[str, Any]:
        """What was decided so far, by the names of the metrics: `keybound_requests_total`, a list of dicts with `verdict`, `reason` and
        `count`; `keybound_nonce_challenges_total`, one with `reason` and `count`; `keybound_replays_total` and
        `keybound_audit_dropped_total`, numbers."""
        return self._records.counters(json.loads(self._native.counters()))

    def metadata(self) -> bytes:
        """The metadata document (RFC 9728 section 2): JSON, to be served at :attr:`metadata_path` without a token."""
        return self._native.metadata().encode()

    @property
    def is_audited(self) -> bool:
        """Whether records of decisions are written."""
        return self._records.audit is not None

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
        told = json.loads(self._native.route(target.decode("latin-1"), mount_path, path))
        if "refusal" in told:
            raise Refused(refusal_of(told["refusal"]))
        routed: str = told["path"]
        return routed

    def asks_for_metadata(self, *, method: str, target: bytes, mount_path: bytes, path: bytes) -> bool:
        """Whether a request asks for :meth:`metadata`, which is answered to anyone, before anything else is looked at.

        Its place is `/.well-known/oauth-protected-resource…` at the root of the origin, where a proxy may pass it on to an application that is mounted
        elsewhere; behind the mount point counts as well. The other arguments are those of :meth:`route`.
        """
        return self._native.asks_for_metadata(method, target.decode("latin-1"), mount_path, path)
    def cross(self, *, method: str, headers: Headers) -> tuple[tuple[str, str], ...]:
        """What every answer to a request of a page of another origin carries, by the option `cors`: names and values of fields.

        Raises :class:`~keybound.Refused` with the answer to a preflight, which goes to no handler. :meth:`~keybound.ResourceServer.authenticate`
        asks this itself; ask it for what needs no token.
        """
        if not self._crosses:
            return ()
        told = json.loads(self._native.cors((Incoming(method=method, target=b"/", headers=headers), None, None)))
        if "refusal" in told:
            raise Refused(refusal_of(told["refusal"]))
        return tuple((name, value) for name, value in told["headers"])

    def _admitted(self, incoming: Incoming, now: int | None) -> Flow[Principal]:
        done = yield from self._decided(self._native.admit, incoming, now)
        assert done.principal is not None
        return principal_of(done.result["principal"], done.principal, self)

    def _checked(self, incoming: Incoming, now: int | None) -> Flow[Unconsumed]:
        done = yield from self._decided(self._native.check, incoming, now)
        return Unconsumed(done.result.get("thumbprint"))

    def _carried_out(self, principal: Principal, method: str, url: str, body: bytes, now: int | None) -> Flow[Intent]:
        yield from self._finished(lambda at: principal.native.carry_out(method, url, body, at), now)
        return principal.intent()

    def _decided(self, begin: Callable[..., _keybound.Flow], incoming: Incoming, now: int | None) -> Flow[Finished]:
        # A store of this process says its epoch itself.
        epoch = None if type(self.store) is MemoryReplayStore else self.store.epoch
        # Where the program gives the time, limits go by that; a system's clock can be set, so they do not go by one.
        ticks = time.monotonic_ns() // 1_000_000 if now is None and self._clock is None else None
        try:
            return (yield from self._finished(lambda at: begin((incoming, epoch, ticks), at), now, incoming.route))
        except Refused as refused:
            # A preflight is answered, not refused.
            if refused.reason == "preflight":
                raise
            log_refusal(refused.refusal, incoming.method, incoming.target or (incoming.url or "").encode())
            if log.isEnabledFor(logging.DEBUG):
                differing = self._native.difference((incoming, epoch, ticks), refused.reason, self._now(now))
                if differing is not None:
                    log.debug("expected %(expected)s; found %(found)s", json.loads(differing))
            raise

    def _finished(self, begin: Callable[[int], _keybound.Flow], now: int | None, route: str | None = None) -> Flow[Finished]:
        begun = time.monotonic_ns()
        done = yield from drive(begin, self.store, lambda: self._now(now))
        assert done.record is not None
        self._records.write(done.record, route, begun, self._now(now))
        if done.result["kind"] == "refused":
            raise Refused(refusal_of(done.result["refusal"]))
        return done


def log_refusal(refusal: Refusal, method: str, target: bytes) -> None:
    """Logs why a request was refused, with its path: neither query nor fields, which have secrets."""
    if log.isEnabledFor(logging.INFO):
        path = target.split(b"?")[0].split(b"#")[0][:PATH_SHOWN].decode("latin-1").encode("unicode_escape").decode("ascii")
        log.info("refused %s %s with %d: %s", method.encode("unicode_escape").decode("ascii")[:PATH_SHOWN], path, refusal.status, refusal.reason)


def _told(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as the core reads them."""
    told = {option: text(option, options.get(option)) for option in TEXTS}
    told["challenge_scope"] = told.pop("scope")
    if not told["resource"]:
        raise Misuse("missing_option", "resource is missing; write resource='https://api.example.com', the identifier of what is protected")
    introspection = one("introspection", options.get("introspection"), Introspection)
    proxies = one("proxies", options.get("proxies"), Proxies)
    cors = one("cors", options.get("cors"), Cors)
    profiles = profiled(options.get("issuers", ()))
    if not profiles and introspection is None:
        detail = "no token would be accepted; write issuers=['https://as.example.com'], the authorization servers that are trusted, or give introspection="
        raise Misuse("missing_option", detail)
    known = given(
        **told,
        **{option: texts(option, options.get(option)) for option in LISTS},
        issuers=[given(issuer=issuer, profile=profile) for issuer, profile in profiles.items()],
        introspection=introspection and _asking(introspection),
        introspection_profile=introspection and introspection.profile,
        require_client_id=flag("require_client_id", options.get("require_client_id", False)),
        proxies=proxies and asdict(proxies),
        cors=cors and cors.told(),
        **guards(options),
    )
    audit = one("audit", options.get("audit"), Audit)
    if audit is not None:
        known["audit"] = audit.told()
    known |= {"publish_metadata": True, "allow_loopback": flag("allow_loopback", options.get("allow_loopback", False))}
    leeway = whole("leeway", options.get("leeway"))
    return known if leeway is None else {**known, "leeway": leeway}


def guards(options: Mapping[str, object]) -> dict[str, Any]:
    """The limits and the breaker of these options, as the core reads them."""
    kinds: dict[str, type[Limit | Breaker]] = {**dict.fromkeys(LIMITS, Limit), "breaker": Breaker}
    found = {option: one(option, options.get(option), kind) for option, kind in kinds.items()}
    return {option: asdict(guard) for option, guard in found.items() if guard is not None}


def _asking(introspection: Introspection) -> dict[str, Any]:
    asked = {name: getattr(introspection, name) for name in ("url", "client_id", "client_secret", "authentication", "remembered_for")}
    return {name: value for name, value in asked.items() if value is not None}


def profiled(issuers: object) -> dict[str, str | None]:
    """The issuers of the option, each with the name of its profile; `None` is that of RFC 9068."""
    if not isinstance(issuers, Mapping):
        return dict.fromkeys(texts("issuers", issuers))
    for issuer, profile in issuers.items():
        if not isinstance(issuer, str) or not isinstance(profile, str):
            raise Misuse("wrong_type", 'issuers with profiles are texts; write issuers={"https://id.example.com": "keycloak"}')
    return dict(issuers)
