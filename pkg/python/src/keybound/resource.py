"""A protected resource: requests in, principals or the answers to send out (RFC 9449 section 7, RFC 9068, RFC 9728)."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from . import _keybound
from ._issuers import Introspection, checked_url, document_at, keys_url, metadata_urls, name_of, question
from ._types import Refusal, current, given
from .errors import KeyboundError, Misuse, Refused, refusal_of, reraise
from .intents import Intent
from .policy import Nonces, Policy
from .stores import AsyncReplayStore, MemoryReplayStore, ReplayEntry, ReplayStore
from .transport import AsyncTransport, HttpRequest, HttpResponse, StandardTransport, Transport
from .verify import refusal, store_answer

__all__ = ["AsyncResourceServer", "Introspection", "Principal", "Proxies", "Refusal", "Refused", "ResourceServer"]

log = logging.getLogger("keybound")

#: How old keys of an issuer may be before they are fetched again, and how old if they cannot be, in seconds.
KEYS_KEPT, KEYS_STALE = 600, 86_400
#: The shortest time between two attempts to fetch them, in seconds: anyone can name a key that nobody has.
KEYS_AGAIN = 10
#: How long an introspection answer that denies a token is kept, in seconds; and how many are kept.
DENIED_KEPT, DENIED_MAX = 5, 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxies:
    """Proxies whose fields say under which origin a request came: trusted by address alone, with one family of fields.

    `hops` says which value counts, from the right, where proxies append theirs; 0 where they replace what came in.
    """

    addresses: tuple[str, ...]
    family: Literal["forwarded", "x_forwarded", "x_forwarded_with_port"]
    hops: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who sends an admitted request. Its `repr` shows neither subject nor claims."""

    subject: str | None = field(repr=False)
    """The user, or the client where it acts for itself; unique together with the issuer."""
    client_id: str | None
    issuer: str | None
    audience: tuple[str, ...] = field(repr=False)
    scopes: frozenset[str]
    expires_at: int | None
    """When the token ends, in seconds since 1970."""
    thumbprint: str | None
    """The key that the token is bound to; none for a Bearer token."""
    claims: Mapping[str, Any] = field(repr=False)
    """All claims, or all members of the introspection answer."""
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    """What the answer carries besides its own fields: the next nonce (RFC 9449 section 8.2)."""
    access: Access = field(repr=False, compare=False)

    @property
    def authorization_details(self) -> Any:
        """The granted details (RFC 9396): a list, or `None`."""
        return self.claims.get("authorization_details")

    def has_scope(self, scope: str) -> bool:
        """Whether the token permits `scope`."""
        return scope in self.scopes

    def require(self, *scopes: str) -> None:
        """Raises :class:`~keybound.Refused` with status 403 if the token lacks one of `scopes`."""
        refused = self.access.server.require_scopes(self.access.native, list(scopes))
        if refused is not None:
            raise Refused(refusal(refused))

    def intent(self) -> Intent:
        """The intent that the token carries. Raises :class:`~keybound.IntentRejected` if there is none."""
        try:
            return Intent(self.access.native.intent())
        except _keybound.NativeError as error:
            reraise(error)

    def revoked(self) -> Refusal:
        """The answer for a token that the caller knows to be revoked: 401."""
        return refusal(self.access.server.refuse_revoked(self.access.native))


@dataclass(frozen=True, slots=True)
class Access:
    """A request on its way, and the server that judges it."""

    server: _keybound.NativeResourceServer
    native: _keybound.NativeAccess


Headers = Sequence[tuple[str, bytes]]
#: What judging a request waits for: keys of an issuer, an answer about a token, an entry's insertion.
_Asks = Generator[tuple[str, Any], Any, Principal]


class _Resource:
    """What both servers share: options, metadata, and judging as a generator that does no IO."""

    def __init__(
        self,
        *,
        resource: str,
        issuers: Sequence[str] = (),
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
        origin: str | None = None,
        also_origins: Sequence[str] = (),
        path_prefix: str | None = None,
        proxies: Proxies | None = None,
        epoch: str | None = None,
        allow_loopback: bool = False,
    ) -> None:
        if not issuers and introspection is None:
            raise Misuse("missing_option", "a resource accepts tokens of somebody: name issuers, or an introspection endpoint")
        for url in [*issuers, *([introspection.url] if introspection else [])]:
            checked_url(url, allow_loopback)
        options = given(
            resource=resource,
            issuers=list(issuers),
            introspection=introspection is not None,
            schemes=schemes,
            audiences=list(audiences),
            token_algorithms=list(token_algorithms or []),
            require_client_id=require_client_id,
            realm=realm,
            challenge_scope=scope,
            publish_metadata=True,
            scopes=list(scopes),
            name=name,
            documentation=documentation,
            origin=origin,
            also_origins=list(also_origins),
            path_prefix=path_prefix,
        )
        if leeway is not None:
            options["leeway"] = leeway
        if proxies is not None:
            addresses = list(proxies.addresses)
            options["proxies"] = {"addresses": addresses, "family": proxies.family, "hops": proxies.hops}
        self.policy = policy or _usual_policy()
        self._introspection = introspection
        self._options = json.dumps(options)
        self._epoch = epoch
        self._native = self._made(epoch)
        self._keys: dict[str, tuple[float, _keybound.NativeJwkSet]] = {}
        self._tried: dict[str, float] = {}
        self._denied: dict[bytes, float] = {}

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

    def _judge(
        self,
        epoch: str,
        method: str,
        target: bytes | None,
        url: str | None,
        headers: Headers,
        peer: str | None,
        now: int | None,
    ) -> _Asks:
        fields, server = [(name, value) for name, value in headers], self._live(epoch)
        if target is not None:
            native = server.receive_raw(method, target, peer, fields, current(now))
        elif url is not None:
            native = server.receive(method, url, fields, current(now))
        else:
            raise Misuse("missing_option", "give the raw request target, or the whole URL")
        access = Access(server, native)
        try:
            while True:
                state = json.loads(native.state())
                if state["state"] == "granted":
                    return _principal(state["principal"], access)
                if state["state"] == "refused":
                    raise Refused(refusal_of(state["refusal"]))
                if state["state"] == "insert":
                    entry = native.entry
                    assert entry is not None
                    answer = yield "insert", ReplayEntry(entry)
                    native.settle(store_answer(answer).value, current(now))
                elif state["state"] == "keys":
                    keys = yield "keys", (state["issuer"], native)
                    native.unavailable() if keys is None else native.keys(keys, current(now))
                else:
                    told = yield "introspection", state["token"]
                    native.unavailable() if told is None else native.introspected(told, current(now))
        except _keybound.NativeError as error:
            reraise(error)

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

    def _told(self, token: str, response: HttpResponse) -> bytes:
        if response.status != 200:
            raise OSError(f"introspection was answered with status {response.status}")
        if b'"active":false' in response.body.replace(b" ", b""):
            while len(self._denied) >= DENIED_MAX:
                self._denied.pop(next(iter(self._denied)))
            self._denied[name_of(token)] = time.monotonic() + DENIED_KEPT
        return response.body


def _usual_policy() -> Policy:
    """With nonces, so that a proof from before a start is answered by a nonce and never by an error."""
    return Policy(nonces=Nonces())


def _principal(told: dict[str, Any], access: Access) -> Principal:
    return Principal(
        subject=told.get("subject"),
        client_id=told.get("client_id"),
        issuer=told.get("issuer"),
        audience=tuple(told["audience"]),
        scopes=frozenset(told["scopes"]),
        expires_at=told.get("expires_at"),
        thumbprint=told.get("thumbprint"),
        claims=told["claims"],
        headers=tuple((name, value) for name, value in told["headers"]),
        access=access,
    )


class ResourceServer(_Resource):
    """Admits requests to a resource that carry a bound token and a fresh proof. All threads may use it.

    `resource` is its identifier (RFC 8707), `issuers` are the authorization servers whose JWT access tokens it takes
    (RFC 9068), found by their metadata; `introspection` is asked about others. `store` remembers used proofs: a
    :class:`~keybound.MemoryReplayStore` for one process otherwise. Other arguments: `policy` for proofs (with nonces), `schemes`,
    `audiences`, `token_algorithms`, `leeway` (seconds), `require_client_id`, `realm`, `scope` (for challenges), `scopes`, `name` and
    `documentation` (for metadata), `origin`, `also_origins`, `path_prefix` and `proxies` (for targets), `allow_loopback` (permits
    `http` servers on this machine).
    """

    def __init__(
        self, *, store: ReplayStore | None = None, transport: Transport | None = None, workers: int | None = None, **options: Any
    ) -> None:
        """Raises :class:`~keybound.Misuse` for options that cannot be used."""
        policy = options.setdefault("policy", _usual_policy())
        self.store: ReplayStore = store if store is not None else MemoryReplayStore(policy=policy, workers=workers)
        self._loopback = bool(options.get("allow_loopback"))
        self._transport: Transport = transport or StandardTransport(timeout=10)
        self._lock = threading.Lock()
        super().__init__(epoch=self.store.epoch, **options)

    def authenticate(
        self,
        *,
        method: str,
        headers: Headers,
        target: bytes | None = None,
        url: str | None = None,
        peer: str | None = None,
        now: int | None = None,
    ) -> Principal:
        """Admits a request.

        `target` is the raw request target as received (`/a%2Fb?c`), or `url` the whole URL. `headers` has one element for each
        field line, and `peer` is the address of the connection, where proxies are configured.

        Raises :class:`~keybound.Refused` with the answer to send.
        """
        judging = self._judge(self.store.epoch, method, target, url, headers, peer, now)
        try:
            what, about = next(judging)
            while True:
                what, about = judging.send(self._answer(what, about, now))
        except StopIteration as done:
            principal: Principal = done.value
            return principal

    def _answer(self, what: str, about: Any, now: int | None) -> Any:
        from ._types import Insertion

        if what == "insert":
            try:
                return self.store.insert(about, now=current(now))
            except KeyboundError:
                raise
            except Exception:
                return Insertion.UNAVAILABLE
        try:
            if what == "introspection":
                if self._is_denied(about):
                    return b'{"active":false}'
                return self._told(about, self._transport.send(question(self._introspection, about)))
            issuer, native = about
            keys, stale = self._kept_keys(issuer, native)
            if not stale and keys is not None:
                return keys
            with self._lock:
                # Whoever waited here finds what the one before fetched.
                keys, stale = self._kept_keys(issuer, native)
                if stale:
                    self._tried[issuer] = time.monotonic()
                    # Those of before are better than none.
                    keys = self._fetched(issuer) or keys
                return keys
        except Misuse:
            raise
        except Exception:
            return None

    def _fetched(self, issuer: str) -> _keybound.NativeJwkSet | None:
        try:
            return self._fetch_keys(issuer)
        except Misuse:
            raise
        except Exception as failure:
            log.warning("the keys of %s cannot be fetched: %s", issuer, failure)
            return None

    def _fetch_keys(self, issuer: str) -> _keybound.NativeJwkSet | None:
        for url in metadata_urls(issuer):
            found = keys_url(issuer, self._transport.send(document_at(url)), self._loopback)
            if found is not None:
                return self._keep_keys(issuer, self._transport.send(document_at(found)))
        return None


class AsyncResourceServer(_Resource):
    """The same as :class:`ResourceServer`, awaited. The store may be either kind.

    Without a transport, requests to authorization servers are sent by the standard library on another thread.
    """

    def __init__(
        self,
        *,
        store: AsyncReplayStore | ReplayStore | None = None,
        transport: AsyncTransport | None = None,
        workers: int | None = None,
        **options: Any,
    ) -> None:
        """Raises :class:`~keybound.Misuse` for options that cannot be used."""
        policy = options.setdefault("policy", _usual_policy())
        self.store = store if store is not None else MemoryReplayStore(policy=policy, workers=workers)
        self._loopback = bool(options.get("allow_loopback"))
        self._transport: AsyncTransport = transport or _Threaded(StandardTransport(timeout=10).send)
        self._fetching: dict[str, asyncio.Task[_keybound.NativeJwkSet | None]] = {}
        super().__init__(epoch=self.store.epoch, **options)

    async def authenticate(
        self,
        *,
        method: str,
        headers: Headers,
        target: bytes | None = None,
        url: str | None = None,
        peer: str | None = None,
        now: int | None = None,
    ) -> Principal:
        """See :meth:`ResourceServer.authenticate`."""
        judging = self._judge(self.store.epoch, method, target, url, headers, peer, now)
        try:
            what, about = next(judging)
            while True:
                what, about = judging.send(await self._answer(what, about, now))
        except StopIteration as done:
            principal: Principal = done.value
            return principal

    async def _answer(self, what: str, about: Any, now: int | None) -> Any:
        from ._types import Insertion

        if what == "insert":
            try:
                answer: Any = self.store.insert(about, now=current(now))
                return (await answer) if hasattr(answer, "__await__") else answer
            except KeyboundError:
                raise
            except Exception:
                return Insertion.UNAVAILABLE
        try:
            if what == "introspection":
                if self._is_denied(about):
                    return b'{"active":false}'
                return self._told(about, await self._transport.send(question(self._introspection, about)))
            issuer, native = about
            keys, stale = self._kept_keys(issuer, native)
            task = self._fetching.get(issuer)
            if not stale and (keys is not None or task is None or task.done()):
                return keys
            if task is None or task.done():
                self._tried[issuer] = time.monotonic()
                task = asyncio.ensure_future(self._fetched(issuer))
                self._fetching[issuer] = task
            # The fetch goes on if this request is given up; those of before are better than none.
            return await asyncio.shield(task) or keys
        except Misuse:
            raise
        except Exception:
            return None

    async def _fetched(self, issuer: str) -> _keybound.NativeJwkSet | None:
        try:
            return await self._fetch_keys(issuer)
        except Misuse:
            raise
        except Exception as failure:
            log.warning("the keys of %s cannot be fetched: %s", issuer, failure)
            return None

    async def _fetch_keys(self, issuer: str) -> _keybound.NativeJwkSet | None:
        for url in metadata_urls(issuer):
            found = keys_url(issuer, await self._transport.send(document_at(url)), self._loopback)
            if found is not None:
                return self._keep_keys(issuer, await self._transport.send(document_at(found)))
        return None


class _Threaded:
    """A synchronous transport on another thread."""

    def __init__(self, send: Callable[[HttpRequest], HttpResponse]) -> None:
        self._send = send

    async def send(self, request: HttpRequest) -> HttpResponse:
        return await asyncio.to_thread(self._send, request)
