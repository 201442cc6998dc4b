"""The OAuth 2.1 client: discovery, login, sessions and the requests they send (RFC 9449, RFC 8414, RFC 9728)."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from . import _keybound
from ._drive import Clock, Fetch, Finished, OwnBody, Pause, TakeLock, Wait, Work, drive, system_clock
from ._types import SecurityLevel, given
from .errors import FlowFailed, Misuse, reraise
from .keys import Key, Signer
from .sessions import MemoryStore, SessionStore
from .transport import AsyncTransport, HttpRequest, HttpResponse, StandardTransport, Transport

__all__ = [
    "AsyncClient",
    "Authorization",
    "Client",
    "Credentials",
    "DeviceLogin",
    "Discovered",
    "IssuedToken",
    "Response",
    "Session",
    "SessionRequest",
    "SubjectToken",
]

T = TypeVar("T")
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A client that `issuer` knows already, and how it authenticates.

    `method` is `none` for public clients, `secret` for whichever way the server permits, or the way itself. With
    `private_key_jwt` the session store has the key of `public_jwk`, which must not be the key of proofs.
    """

    issuer: str
    client_id: str
    method: Literal["none", "secret", "client_secret_basic", "client_secret_post", "private_key_jwt"] = "none"
    secret: str | None = field(default=None, repr=False)
    public_jwk: Json | None = None
    algorithm: str | None = None
    key_id: str | None = None


@dataclass(frozen=True, slots=True)
class Discovered:
    """What protects a target."""

    issuer: str
    resource: str | None
    challenged_scope: str | None
    native: _keybound.NativeDiscovered = field(repr=False)


@dataclass(frozen=True, slots=True)
class Authorization:
    """Where to send the user's browser. Its response is recognised by `state`: keep that in the browser's own session."""

    url: str = field(repr=False)
    state: str = field(repr=False)
    expires_at: int


@dataclass(frozen=True, slots=True)
class DeviceLogin:
    """A login on another device: what to show, and what :meth:`Client.poll_device` takes, once."""

    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    expires_at: int
    native: _keybound.NativeDevice = field(repr=False)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token that is no access token."""

    token: str = field(repr=False)
    token_type: str
    expires_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectToken:
    """A token to exchange (RFC 8693), and who acts for its subject."""

    token: str = field(repr=False)
    type: str = "urn:ietf:params:oauth:token-type:access_token"
    actor_token: str | None = field(default=None, repr=False)
    actor_type: str | None = None
    audience: str | None = None
    requested_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest:
    """A session to be made: its name, where, and for what.

    `at` is what was discovered, or a session to make anew. `authorization_details` and `intent` are lists of objects with a `type`
    (RFC 9396): an intent has a key of its own and ends after `intent_lifetime` seconds. `parameters` are further ones of the request.
    """

    at: Discovered | Session
    name: str = "default"
    scope: str | None = None
    resource: str | None = None
    level: SecurityLevel | None = None
    authorization_details: Sequence[Json] | None = None
    intent: Sequence[Json] | None = None
    intent_lifetime: int | None = None
    offline_access: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)

    def _operation(self) -> dict[str, Any]:
        operation = given(
            resource=self.resource,
            level=None if self.level is None else self.level.value,
            offline_access=self.offline_access,
            again=isinstance(self.at, Session),
        )
        if not isinstance(self.at, Session):
            operation["session"] = self.name
        if self.scope is not None:
            operation["scope"] = self.scope
        for name in ("authorization_details", "intent"):
            details = getattr(self, name)
            if details is not None:
                operation[name] = [dict(detail) for detail in details]
        if self.intent_lifetime is not None:
            operation["intent_lifetime"] = self.intent_lifetime
        if self.parameters:
            operation["parameters"] = dict(self.parameters)
        return operation


class Session:
    """Tokens, whom they are from and for, and the key they are bound to. Its `repr` shows no token."""

    __slots__ = ("native",)

    def __init__(self, native: _keybound.NativeSession) -> None:
        self.native = native

    def _info(self) -> dict[str, Any]:
        info: dict[str, Any] = json.loads(self.native.info())
        return info

    @property
    def name(self) -> str:
        """Its name in the store."""
        return str(self._info()["name"])

    @property
    def level(self) -> SecurityLevel:
        """How much it is protected."""
        return SecurityLevel(self._info()["level"])

    @property
    def issuer(self) -> str:
        """The authorization server."""
        return str(self._info()["issuer"])

    @property
    def resource(self) -> str | None:
        """What its tokens are for: it sends them nowhere else."""
        return self._info().get("resource")

    @property
    def scope(self) -> str | None:
        """What was granted, names separated by spaces."""
        return self._info().get("scope")

    @property
    def authorization_details(self) -> list[dict[str, Any]] | None:
        """The granted details."""
        return self._info().get("authorization_details")

    @property
    def expires_at(self) -> int | None:
        """When the access token ends, in seconds since 1970."""
        return self._info().get("expires_at")

    @property
    def thumbprint(self) -> str | None:
        """The key that its tokens are bound to; none at level Standard."""
        return self._info().get("thumbprint")

    @property
    def has_ended(self) -> bool:
        """Whether only a new login helps."""
        return bool(self._info()["ended"])

    def danger_access_token(self) -> str | None:
        """The access token: a secret, worthless without the key if it is bound."""
        return self.native.danger_access_token()

    def __repr__(self) -> str:
        info = self._info()
        return f"Session({info['name']!r}, {info['level']}, {info['issuer']!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The resource's answer, and what a refused request needs (`login`, or `step_up` with a scope), if anything helps."""

    url: str
    status: int
    headers: tuple[tuple[str, bytes], ...] = field(repr=False)
    body: bytes = field(repr=False)
    demand: Literal["login", "step_up", "resend"] | None
    scope: str | None

    def header(self, name: str) -> str | None:
        """The first value of a field."""
        return HttpResponse(status=self.status, headers=self.headers).header(name)

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


Flow = Generator[Pause, Any, T]


class _Flows:
    """The flows of both clients: generators that stop where the host has something to do."""

    def __init__(
        self,
        *,
        level: SecurityLevel = SecurityLevel.ENHANCED,
        redirect_uri: str | None = None,
        credentials: Sequence[Credentials] = (),
        metadata_document: str | None = None,
        register: Json | None = None,
        accept_issuers: Sequence[str] = (),
        servers: Sequence[Json] = (),
        also_origins: Sequence[str] = (),
        algorithms: Sequence[str] | None = None,
        hardware_keys: bool = False,
        allow_loopback: bool = False,
        push_with_proof: bool = False,
        danger_assume_pkce: bool = False,
        danger_assume_endpoints: bool = False,
        danger_accept_bearer: bool = False,
        store: SessionStore | None = None,
        clock: Clock = system_clock,
    ) -> None:
        options = given(
            level=SecurityLevel(level).value,
            redirect_uri=redirect_uri,
            credentials=[_credentials(known) for known in credentials],
            metadata_document=metadata_document,
            accept_issuers=list(accept_issuers),
            servers=[dict(server) for server in servers],
            also_origins=list(also_origins),
            algorithms=list(algorithms or []),
            hardware_keys=hardware_keys,
            allow_loopback=allow_loopback,
            push_with_proof=push_with_proof,
            danger_assume_pkce=danger_assume_pkce,
            danger_assume_endpoints=danger_assume_endpoints,
            danger_accept_bearer=danger_accept_bearer,
        )
        if register is not None:
            options["register"] = dict(register)
        self.store: SessionStore = store if store is not None else MemoryStore()
        self.redirect_uri = redirect_uri
        self._clock = clock
        try:
            self._native = _keybound.NativeClient(json.dumps(options))
        except _keybound.NativeError as error:
            reraise(error)

    def flow(
        self,
        operation: Mapping[str, Any],
        *,
        discovered: _keybound.NativeDiscovered | None = None,
        session: _keybound.NativeSession | None = None,
        device: _keybound.NativeDevice | None = None,
    ) -> Flow[Finished]:
        """Any operation of the core, by its name and arguments: a generator of pauses, for transports of one's own."""
        text = json.dumps(dict(operation))

        def begin(now: int) -> _keybound.NativeFlow:
            return self._native.begin(text, now, discovered, session, device)

        return drive(begin, self.store, self._clock)

    def call_flow(
        self, session: Session, *, method: str, url: str, headers: Sequence[tuple[str, str]], body: str
    ) -> Flow[Finished]:
        """A request with the session's token; `body` is `empty`, `repeatable` or `one_shot`. Made for HTTP libraries' own hooks."""
        fields = [[name, value] for name, value in headers]
        operation = {"do": "call", "method": method, "url": url, "headers": fields, "body": body}
        return self.flow(operation, session=session.native)

    def _discover(self, url: str) -> Flow[Discovered]:
        probe = yield Fetch(HttpRequest(method="GET", url=url, max_body=1024 * 1024, timeout=20))
        values = [value.decode("latin-1") for name, value in probe.headers if name.lower() == "www-authenticate"]
        done = yield from self.flow({"do": "discover", "target": url, "challenges": values})
        return _discovered(done)

    def _discover_issuer(self, issuer: str) -> Flow[Discovered]:
        return _discovered((yield from self.flow({"do": "discover_issuer", "issuer": issuer})))

    def _asked(self, what: str, request: SessionRequest, **rest: Any) -> Flow[Finished]:
        operation = {"do": what, **request._operation(), **rest}
        if isinstance(request.at, Session):
            return self.flow(operation, session=request.at.native)
        return self.flow(operation, discovered=request.at.native)

    def _authorize(self, request: SessionRequest) -> Flow[Authorization]:
        return _authorization((yield from self._asked("authorize", request)))

    def _step_up(self, session: Session, scope: str) -> Flow[Authorization]:
        return _authorization((yield from self.flow({"do": "step_up", "scope": scope}, session=session.native)))

    def _session(self, flow: Flow[Finished]) -> Flow[Session]:
        done = yield from flow
        assert done.session is not None
        return Session(done.session)

    def _adopt(self, token: str, key: Key | Signer, resource: str, name: str, expires_at: int | None) -> Flow[Session]:
        jwk, place = dict(key.public_jwk), key.protection.value
        told = given(session=name, token=token, resource=resource, public_jwk=jwk, algorithm=key.algorithm, protection=place)
        if expires_at is not None:
            told["expires_at"] = expires_at
        return self._session(self.flow({"do": "adopt", **told}))

    def _device(self, request: SessionRequest) -> Flow[DeviceLogin]:
        done = yield from self._asked("device", request)
        told = done.result
        assert done.device is not None
        complete = told.get("verification_uri_complete")
        return DeviceLogin(told["user_code"], told["verification_uri"], complete, told["expires_at"], done.device)

    def _exchange_for(self, request: SessionRequest, subject: SubjectToken) -> Flow[IssuedToken]:
        told = (yield from self._asked("exchange_for", request, **_subject(subject))).result
        return IssuedToken(told["token"], told["token_type"], told.get("expires_at"))

    def _nothing(self, flow: Flow[Finished]) -> Flow[None]:
        yield from flow

    def _introspect(self, at: Discovered, token: str) -> Flow[dict[str, Any]]:
        done = yield from self.flow({"do": "introspect", "token": token}, discovered=at.native)
        claims: dict[str, Any] = done.result["claims"]
        return claims


def _credentials(known: Credentials) -> dict[str, Any]:
    told = given(secret=known.secret, algorithm=known.algorithm, key_id=known.key_id)
    if known.public_jwk is not None:
        told["public_jwk"] = dict(known.public_jwk)
    return {"issuer": known.issuer, "client_id": known.client_id, "method": known.method, **told}


def _subject(subject: SubjectToken) -> dict[str, Any]:
    return given(
        subject_token=subject.token,
        subject_token_type=subject.type,
        actor_token=subject.actor_token,
        actor_token_type=subject.actor_type,
        audience=subject.audience,
        requested_token_type=subject.requested_type,
    )


def _discovered(done: Finished) -> Discovered:
    assert done.discovered is not None
    told = done.result
    return Discovered(told["issuer"], told.get("resource"), told.get("challenged_scope"), done.discovered)


def _authorization(done: Finished) -> Authorization:
    told = done.result
    return Authorization(told["url"], told["state"], told["expires_at"])


def _answered(done: Finished, answer: HttpResponse | None) -> Response:
    if answer is None:
        raise FlowFailed("interrupted", "the request was not sent")
    demand = done.result.get("demand") or {}
    url, headers, body = done.result["url"], answer.headers, answer.body
    what = demand.get("do")
    return Response(url=url, status=answer.status, headers=headers, body=body, demand=what, scope=demand.get("scope"))


class Client(_Flows):
    """An OAuth 2.1 client that blocks. All threads may use it; sessions that are stored are shared with other processes.

    `level` is the least protection that its sessions have. `redirect_uri` is where logins come back to. Clients that the server
    knows are given as `credentials`; else `metadata_document` (a URL) or `register` (metadata, RFC 7591) say who it is. `store` keeps
    keys and sessions, in memory otherwise. What weakens is called `danger_…`.
    """

    def __init__(self, *, transport: Transport | None = None, **options: Any) -> None:
        """Raises :class:`~keybound.Misuse` for options that cannot be used."""
        super().__init__(**options)
        self._transport: Transport = transport or StandardTransport()

    def discover(self, url: str) -> Discovered:
        """Finds out what protects `url`, from its answer to a request without a token."""
        return self.run(self._discover(url))

    def discover_issuer(self, issuer: str) -> Discovered:
        """Finds an authorization server by its issuer identifier alone."""
        return self.run(self._discover_issuer(issuer))

    def authorize(self, request: SessionRequest) -> Authorization:
        """Begins a login: bring the browser to the URL, and what it comes back to, to :meth:`exchange`."""
        return self.run(self._authorize(request))

    def exchange(self, callback: str) -> Session:
        """Completes a login with the URL that the browser came back to."""
        return self.run(self._session(self.flow({"do": "exchange", "callback": callback})))

    def step_up(self, session: Session, scope: str) -> Authorization:
        """Begins a login that asks for `scope` besides what the session has."""
        return self.run(self._step_up(session, scope))

    def login(self, request: SessionRequest, *, browser: Callable[[str], object], timeout: float = 300.0) -> Session:
        """Logs in with the user's browser: `browser` is given the URL to open, and the answer is received on loopback.

        The client's `redirect_uri` is a loopback URL with a port, for example `http://127.0.0.1:7777/callback`.
        """
        with _Loopback(self.redirect_uri) as listener:
            authorization = self.authorize(request)
            browser(authorization.url)
            callback = listener.wait(timeout)
        return self.exchange(callback)

    def device(self, request: SessionRequest, *, show: Callable[[DeviceLogin], object]) -> Session:
        """Logs in on another device: `show` is given what the user has to see (RFC 8628)."""
        device = self.run(self._device(request))
        show(device)
        return self.poll_device(device)

    def poll_device(self, device: DeviceLogin) -> Session:
        """Waits until the user has decided."""
        return self.run(self._session(self.flow({"do": "poll_device"}, device=device.native)))

    def client_credentials(self, request: SessionRequest) -> Session:
        """A session in the client's own name (OAuth 2.1 section 4.2)."""
        return self.run(self._session(self._asked("client_credentials", request)))

    def token_exchange(self, request: SessionRequest, subject: SubjectToken) -> Session:
        """A session for a token that the client holds (RFC 8693)."""
        return self.run(self._session(self._asked("token_exchange", request, **_subject(subject))))

    def exchange_for(self, request: SessionRequest, subject: SubjectToken) -> IssuedToken:
        """Exchanges a token for one that is no access token."""
        return self.run(self._exchange_for(request, subject))

    def jwt_bearer(self, request: SessionRequest, assertion: str) -> Session:
        """A session for an assertion that another server signed (RFC 7523 section 2.1)."""
        return self.run(self._session(self._asked("jwt_bearer", request, assertion=assertion)))

    def open(self, name: str = "default", *, bound_to: str | None = None) -> Session:
        """Opens a stored session. Raises :class:`~keybound.LoginRequired` if there is none that can be used."""
        operation = {"do": "open", "session": name, **given(bound_to=bound_to)}
        return self.run(self._session(self.flow(operation)))

    def adopt(
        self, token: str, *, key: Key | Signer, resource: str, name: str = "adopted", expires_at: int | None = None
    ) -> Session:
        """A session for a token that was obtained elsewhere, which is bound to `key`. Nobody can renew it, and nothing is stored.

        The store has to have the key: a :class:`~keybound.MemoryStore` is given it by its `add_key`.
        """
        return self.run(self._adopt(token, key, resource, name, expires_at))

    def refresh(self, session: Session) -> None:
        """Gets a new access token, once among all tasks and processes that want one."""
        self.run(self._nothing(self.flow({"do": "refresh"}, session=session.native)))

    def revoke(self, session: Session) -> None:
        """Revokes the session's tokens at the server."""
        self.run(self._nothing(self.flow({"do": "revoke"}, session=session.native)))

    def end(self, session: Session) -> None:
        """Revokes the session's tokens and deletes it and its key."""
        self.run(self._nothing(self.flow({"do": "end"}, session=session.native)))

    def introspect(self, at: Discovered, token: str) -> dict[str, Any]:
        """What the authorization server says of a token (RFC 7662)."""
        return self.run(self._introspect(at, token))

    def call(
        self,
        session: Session,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> Response:
        """Sends a request with the session's token and a fresh proof. An answer with any status is no error.

        A nonce that is demanded, a token that has ended and a clock that is wrong are taken care of. A token goes to targets under
        the session's resource alone.
        """
        fields = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        kind = "empty" if body is None else "repeatable"
        kept: list[HttpResponse] = []
        done = self.run(self.call_flow(session, method=method, url=url, headers=fields, body=kind), body=body, kept=kept)
        return _answered(done, kept[-1] if kept else None)

    def run(self, flow: Flow[T], *, body: bytes | None = None, kept: list[HttpResponse] | None = None) -> T:
        """Drives any flow to its end. `kept` receives the answers to the caller's own request."""
        try:
            pause = next(flow)
            while True:
                try:
                    answer = self._answer(pause, body, kept)
                except Exception as failure:
                    pause = flow.throw(failure)
                else:
                    pause = flow.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result

    def _answer(self, pause: Pause, body: bytes | None, kept: list[HttpResponse] | None) -> Any:
        match pause:
            case Fetch(request):
                return self._transport.send(request)
            case OwnBody(request, kind):
                answer = self._transport.send(_with_body(request, None if kind == "empty" else body))
                if kept is not None:
                    kept.append(answer)
                return HttpResponse(status=answer.status, headers=answer.headers)
            case TakeLock(name, lease):
                lock = self.store.lock(name, lease)
                lock.__enter__()
                return lock
            case Wait(seconds):
                threading.Event().wait(seconds)
                return None
            case Work(call):
                return call()


class AsyncClient(_Flows):
    """The same as :class:`Client`, awaited. Keys, storage and locks are used on other threads.

    Without a transport, requests are sent by the standard library on another thread.
    """

    def __init__(self, *, transport: AsyncTransport | None = None, **options: Any) -> None:
        """Raises :class:`~keybound.Misuse` for options that cannot be used."""
        super().__init__(**options)
        self._transport = transport
        self._standard = StandardTransport()

    async def discover(self, url: str) -> Discovered:
        """See :meth:`Client.discover`."""
        return await self.run(self._discover(url))

    async def discover_issuer(self, issuer: str) -> Discovered:
        """See :meth:`Client.discover_issuer`."""
        return await self.run(self._discover_issuer(issuer))

    async def authorize(self, request: SessionRequest) -> Authorization:
        """See :meth:`Client.authorize`."""
        return await self.run(self._authorize(request))

    async def exchange(self, callback: str) -> Session:
        """See :meth:`Client.exchange`."""
        return await self.run(self._session(self.flow({"do": "exchange", "callback": callback})))

    async def step_up(self, session: Session, scope: str) -> Authorization:
        """See :meth:`Client.step_up`."""
        return await self.run(self._step_up(session, scope))

    async def login(self, request: SessionRequest, *, browser: Callable[[str], object], timeout: float = 300.0) -> Session:
        """See :meth:`Client.login`."""
        with _Loopback(self.redirect_uri) as listener:
            authorization = await self.authorize(request)
            browser(authorization.url)
            callback = await asyncio.to_thread(listener.wait, timeout)
        return await self.exchange(callback)

    async def device(self, request: SessionRequest, *, show: Callable[[DeviceLogin], object]) -> Session:
        """See :meth:`Client.device`."""
        device = await self.run(self._device(request))
        show(device)
        return await self.poll_device(device)

    async def poll_device(self, device: DeviceLogin) -> Session:
        """See :meth:`Client.poll_device`."""
        return await self.run(self._session(self.flow({"do": "poll_device"}, device=device.native)))

    async def client_credentials(self, request: SessionRequest) -> Session:
        """See :meth:`Client.client_credentials`."""
        return await self.run(self._session(self._asked("client_credentials", request)))

    async def token_exchange(self, request: SessionRequest, subject: SubjectToken) -> Session:
        """See :meth:`Client.token_exchange`."""
        return await self.run(self._session(self._asked("token_exchange", request, **_subject(subject))))

    async def exchange_for(self, request: SessionRequest, subject: SubjectToken) -> IssuedToken:
        """See :meth:`Client.exchange_for`."""
        return await self.run(self._exchange_for(request, subject))

    async def jwt_bearer(self, request: SessionRequest, assertion: str) -> Session:
        """See :meth:`Client.jwt_bearer`."""
        return await self.run(self._session(self._asked("jwt_bearer", request, assertion=assertion)))

    async def open(self, name: str = "default", *, bound_to: str | None = None) -> Session:
        """See :meth:`Client.open`."""
        operation = {"do": "open", "session": name, **given(bound_to=bound_to)}
        return await self.run(self._session(self.flow(operation)))

    async def adopt(
        self, token: str, *, key: Key | Signer, resource: str, name: str = "adopted", expires_at: int | None = None
    ) -> Session:
        """See :meth:`Client.adopt`."""
        return await self.run(self._adopt(token, key, resource, name, expires_at))

    async def refresh(self, session: Session) -> None:
        """See :meth:`Client.refresh`."""
        await self.run(self._nothing(self.flow({"do": "refresh"}, session=session.native)))

    async def revoke(self, session: Session) -> None:
        """See :meth:`Client.revoke`."""
        await self.run(self._nothing(self.flow({"do": "revoke"}, session=session.native)))

    async def end(self, session: Session) -> None:
        """See :meth:`Client.end`."""
        await self.run(self._nothing(self.flow({"do": "end"}, session=session.native)))

    async def introspect(self, at: Discovered, token: str) -> dict[str, Any]:
        """See :meth:`Client.introspect`."""
        return await self.run(self._introspect(at, token))

    async def call(
        self,
        session: Session,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> Response:
        """See :meth:`Client.call`."""
        fields = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        kind = "empty" if body is None else "repeatable"
        kept: list[HttpResponse] = []
        flow = self.call_flow(session, method=method, url=url, headers=fields, body=kind)
        done = await self.run(flow, body=body, kept=kept)
        return _answered(done, kept[-1] if kept else None)

    async def run(self, flow: Flow[T], *, body: bytes | None = None, kept: list[HttpResponse] | None = None) -> T:
        """See :meth:`Client.run`."""
        try:
            pause = next(flow)
            while True:
                try:
                    answer = await self._answer(pause, body, kept)
                except Exception as failure:
                    pause = flow.throw(failure)
                else:
                    pause = flow.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            # Cancelled in the middle: locks are given back now, not when the garbage is collected.
            flow.close()

    async def _send(self, request: HttpRequest) -> HttpResponse:
        if self._transport is not None:
            return await self._transport.send(request)
        return await asyncio.to_thread(self._standard.send, request)

    async def _answer(self, pause: Pause, body: bytes | None, kept: list[HttpResponse] | None) -> Any:
        match pause:
            case Fetch(request):
                return await self._send(request)
            case OwnBody(request, kind):
                answer = await self._send(_with_body(request, None if kind == "empty" else body))
                if kept is not None:
                    kept.append(answer)
                return HttpResponse(status=answer.status, headers=answer.headers)
            case TakeLock(name, lease):
                return await _locked(self.store, name, lease)
            case Wait(seconds):
                return await asyncio.sleep(seconds)
            case Work(call):
                return await asyncio.to_thread(call)


async def _locked(store: SessionStore, name: str, lease: int) -> Any:
    """A lock that was waited for on another thread. Whoever is cancelled meanwhile gives it back."""
    lock = store.lock(name, lease)
    taking = asyncio.ensure_future(asyncio.to_thread(lock.__enter__))
    try:
        await asyncio.shield(taking)
    except asyncio.CancelledError:
        taking.add_done_callback(lambda _: lock.__exit__(None, None, None))
        raise
    return lock


def _with_body(request: HttpRequest, body: bytes | None) -> HttpRequest:
    url, headers, timeout = request.url, request.headers, request.timeout
    return HttpRequest(method=request.method, url=url, headers=headers, body=body, timeout=timeout)


class _Loopback:
    """Receives the browser's return on a loopback address, once."""

    def __init__(self, redirect_uri: str | None) -> None:
        parts = urlsplit(redirect_uri or "")
        if parts.hostname not in ("127.0.0.1", "::1", "localhost") or parts.port is None:
            raise Misuse("redirect_uri", "a login in this program comes back to loopback: http://127.0.0.1:7777/callback")
        self._path, self._url = parts.path or "/", f"{parts.scheme}://{parts.netloc}"
        self._received: list[str] = []
        self._event = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                expected = urlsplit(self.path).path == outer._path and "state=" in self.path
                self.send_response(200 if expected else 404)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                self.wfile.write(b"You can close this window now.\n" if expected else b"not found\n")
                if expected and not outer._received:
                    outer._received.append(outer._url + self.path)
                    outer._event.set()

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: the URL holds the code."""

        host = "::1" if parts.hostname == "::1" else "127.0.0.1"
        self._server = http.server.ThreadingHTTPServer((host, parts.port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> _Loopback:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait(self, timeout: float) -> str:
        """The URL that the browser came back to."""
        if not self._event.wait(timeout):
            raise FlowFailed("login_expired", f"nobody came back from the login within {timeout:.0f} seconds; begin it again")
        return self._received[0]
