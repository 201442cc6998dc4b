"""Protects Starlette and FastAPI applications, and any other of ASGI.

    from fastapi import Depends, FastAPI
    from keybound.starlette import Principal, protect, require

    app = FastAPI()
    protect(app, resource="https://api.example.com", issuers=["https://as.example.com"])

    @app.get("/items")
    async def items(principal: Principal = Depends(require("items:read"))) -> dict[str, str | None]:
        return {"hello": principal.subject}

Every request then needs an access token that is bound to a key, and a fresh proof made with that key (RFC 9449 section 7). What is
refused gets its answer from the middleware, and the metadata of the resource (RFC 9728) is served by it.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ._cors import crossed
from ._resource import check_server_options
from ._options import flag, needed, one, scopes_of
from ._resource import log_refusal
from ._resource_app import METADATA_FIELDS, OWN_OPTIONS, Public, Told, asgi_fields, check_process, completed, log, refuse_route, told_by_asgi
from .errors import Misuse, Refused
from .resource import AsyncResourceServer, Incoming, Principal, Refusal, ResourceOptions
from .stores import AsyncReplayStore, ReplayStore
from .transport import AsyncTransport

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["KeyboundMiddleware", "Principal", "metadata_route", "optional", "protect", "require"]

#: Where a request's own part of the protection is in its scope.
ARRIVED = "keybound"


class KeyboundMiddleware:
    """Admits requests with a bound token and a fresh proof, and answers the others.

    `request.state.principal` is then the :class:`Principal`. A middleware for CORS goes around this one, so that preflights are answered.
    """

    def __init__(
        self,
        app: ASGIApp,
        *excess: NoReturn,
        server: AsyncResourceServer | None = None,
        store: AsyncReplayStore | ReplayStore | None = None,
        transport: AsyncTransport | None = None,
        public: Collection[str] = (),
        by_route: bool = False,
        workers: int | None = None,
        danger_decoded_path: bool = False,
        **options: Unpack[ResourceOptions],
    ) -> None:
        """Lays the protection around `app`.

        `server` decides; without one, it is made of `options`: those of :class:`AsyncResourceServer`. `public` lists the paths, decoded,
        behind the mount point, that need no token: `/health`, or `/static/*` for all below. With `by_route` only those routes need one that
        ask for a principal, by :class:`require` or :class:`optional`, and all others are open. `workers=1` says that one process serves the
        application, where that cannot be seen.

        Raises :class:`Misuse` for options that cannot be used, and where several processes would each remember proofs for themselves.
        Starlette makes its middleware at the first call: then the server is told that its start failed, and where it does not ask, every
        request is answered with status 500. :func:`protect` raises at once.
        """
        self.app = app
        self._unusable: Exception | None = None
        self._has_told = False
        try:
            if isinstance(app, KeyboundMiddleware):
                raise Misuse("protected_twice", "this application is protected already; add KeyboundMiddleware once, with all options")
            if excess:
                raise Misuse("unknown_option", "options have names; write KeyboundMiddleware(app, resource=…, issuers=[…])")
            check_server_options(options, *OWN_OPTIONS)
            if server is not None and (options or store is not None or transport is not None or workers is not None):
                raise Misuse("unknown_option", "give either a server or the options of one")
            self._by_route = flag("by_route", by_route)
            self._decoded = flag("danger_decoded_path", danger_decoded_path)
            if server is None:
                server = AsyncResourceServer(store=store, transport=transport, workers=workers, **options)
            one("server", server, AsyncResourceServer)
            self.server = server
            self._public = Public(public, server.mount_path)
        except Exception as error:
            # In a call of the application it must not be raised: uvicorn would take it for an application without a lifespan, start,
            # and answer everything with status 500.
            if not _is_in_a_call():
                raise
            self._unusable = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection."""
        if scope["type"] == "lifespan":
            await self._start(scope, receive, send)
            return
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        if self._unusable is not None:
            if not self._has_told:
                self._has_told = True
                log.error("this application cannot be protected and answers nothing: %s", _sentence(self._unusable))
            await _answer(scope, send, 500, [("Content-Type", "text/plain")], b"keybound: a mistake of configuration, which the log tells\n")
            return
        try:
            crossing = self.server.cross(method=scope.get("method", "GET"), headers=asgi_fields(scope))
        except Refused as preflight:
            await _refuse(scope, send, preflight.refusal)
            return
        if crossing:
            send = _Crossing(send, crossing)
        told, method = told_by_asgi(scope), str(scope.get("method", ""))
        if told.asks_for_metadata(self.server, method):
            await _answer(scope, send, 200, METADATA_FIELDS, self.server.metadata())
            return
        try:
            path = told.routed(self.server)
        except Refused as refused:
            await _refuse(scope, send, refuse_route(self.server, refused, method or "GET", told))
            return
        arrived = scope[ARRIVED] = _Arrived(self, scope, told)
        if not self._by_route and path not in self._public:
            try:
                await arrived.authenticate()
            except Misuse as error:
                # So it is with every request: nothing about it is the peer's fault.
                log.error("%s", error)
                await _answer(scope, send, 500, [("Content-Type", "text/plain")], f"keybound: {error}\n".encode())
                return
            except Refused as refused:
                await _refuse(scope, send, refused.refusal)
                return
        answering = _Answering(send, arrived)
        try:
            await self.app(scope, receive, answering)
        except Refused as refused:
            if answering.has_begun:
                raise
            if refused is not arrived.refused:
                log_refusal(refused.refusal, method or "GET", told.raw or told.whole)
            await _refuse(scope, send, refused.refusal)

    async def _start(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets the application start, unless it could decide nothing."""
        error = self._unusable
        try:
            if error is None:
                check_process(self.server, {})
        except Misuse as misuse:
            error = misuse
        if error is None:
            await self.app(scope, receive, send)
            return
        await receive()
        await send({"type": "lifespan.startup.failed", "message": f"keybound: {_sentence(error)}"})
        raise error.with_traceback(None)


def protect(
    app: Starlette,
    *,
    server: AsyncResourceServer | None = None,
    store: AsyncReplayStore | ReplayStore | None = None,
    transport: AsyncTransport | None = None,
    public: Collection[str] = (),
    by_route: bool = False,
    workers: int | None = None,
    danger_decoded_path: bool = False,
    **options: Unpack[ResourceOptions],
) -> AsyncResourceServer:
    """Adds :class:`KeyboundMiddleware` to an application of Starlette or FastAPI, and checks its options at once. Gives the server that
    decides.

    Raises :class:`Misuse` where it is called, so that no server starts with options that cannot be used: one that calls no lifespan
    (daphne, `uvicorn --lifespan off`) would not notice otherwise.
    """
    needed("app", app, Starlette, "protect(app, …) with an application of FastAPI or Starlette; keybound.flask and keybound.django are for those")
    if any(getattr(each, "cls", None) is KeyboundMiddleware for each in app.user_middleware):
        raise Misuse("protected_twice", "this application is protected already; call protect once, with all options")
    own: dict[str, Any] = {"public": public, "by_route": by_route, "danger_decoded_path": danger_decoded_path}
    made = KeyboundMiddleware(app, server=server, store=store, transport=transport, workers=workers, **own, **options)
    if made._unusable is not None:
        raise made._unusable
    app.add_middleware(KeyboundMiddleware, server=made.server, **own)
    return made.server


def metadata_route(server: AsyncResourceServer) -> Route:
    """A route that answers with the metadata of a resource (RFC 9728), for the application that mounts a protected one.

    The metadata of `https://api.example.com/app` is at `/.well-known/oauth-protected-resource/app` of the origin, where a middleware
    within the mounted application is not asked: `outer.router.routes.append(metadata_route(server))`.
    """

    async def metadata(request: HTTPConnection) -> Response:
        return Response(server.metadata(), headers=dict(METADATA_FIELDS))

    return Route(server.metadata_path, metadata)


class require:
    """A FastAPI dependency that gives the principal, if its token has all of `scopes`; others are answered 403. In Starlette,
    `await require("items:read")(request)` does the same.

    Those with the same scopes are equal, so that a test can override one: `app.dependency_overrides[require("items:read")] = …`.
    """

    def __init__(self, *scopes: str) -> None:
        self.scopes = scopes_of(scopes)

    async def __call__(self, connection: HTTPConnection) -> Principal:
        """The principal of this request."""
        principal = await authenticated(connection)
        principal.require(*self.scopes)
        return principal

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.scopes == self.scopes

    def __hash__(self) -> int:
        return hash((type(self), *self.scopes))


class optional:
    """A FastAPI dependency that gives the principal, or `None` if a request has neither `Authorization` nor `DPoP`. A request that has one of
    them is authenticated, and answered if it is refused. For paths that are `public`, and for applications protected `by_route`."""

    async def __call__(self, connection: HTTPConnection) -> Principal | None:
        """The principal of this request, or none."""
        if not {"authorization", "dpop"} & {*connection.headers} and not isinstance(_principal(connection), Principal):
            return None
        return await authenticated(connection)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))


# Versions of FastAPI before 0.115 do not evaluate the annotations of an object that is called.
require.__call__.__annotations__["connection"] = optional.__call__.__annotations__["connection"] = HTTPConnection


async def authenticated(connection: HTTPConnection) -> Principal:
    """The principal of a request, which is authenticated now unless it was before. Raises :class:`Refused`."""
    principal = _principal(connection)
    if isinstance(principal, Principal):
        return principal
    arrived = connection.scope.get(ARRIVED)
    if not isinstance(arrived, _Arrived):
        raise Misuse("not_protected", "this route asks for a principal; add KeyboundMiddleware to its application")
    return await arrived.authenticate()


def _principal(connection: HTTPConnection) -> object:
    return getattr(connection.state, "principal", None)


class _Arrived:
    """One request, which is authenticated once: its proof is used up."""

    def __init__(self, middleware: KeyboundMiddleware, scope: Scope, told: Told) -> None:
        self._middleware, self._scope, self._told = middleware, scope, told
        self.principal: Principal | None = None
        self.refused: Refused | None = None

    async def authenticate(self) -> Principal:
        """The principal. Raises :class:`Refused`, and :class:`Misuse` where no request can be authenticated."""
        if self.principal is None:
            server, scope = self._middleware.server, self._scope
            check_process(server, {})
            target = self._told.target(self._middleware._decoded)
            # A WebSocket's handshake is a GET request (RFC 6455 section 4.1).
            method, peer = scope.get("method", "GET"), scope["client"][0] if scope.get("client") else None
            route = _route(scope) if server.is_audited else None
            given = Incoming(method=method, target=target, headers=asgi_fields(scope), peer=peer, route=route)
            try:
                self.principal = await server.authenticate(given)
            except Refused as refused:
                self.refused = refused
                raise
            scope.setdefault("state", {})["principal"] = self.principal
        return self.principal


def _route(scope: Scope) -> str | None:
    """The template of the route, which Starlette looks up after its middleware. Of a mounted application it is the place."""
    for route in getattr(scope.get("app"), "routes", ()):
        match, _ = route.matches(scope)
        if match is Match.FULL:
            return str(getattr(route, "path", "")) or None
    return None


def _sentence(error: Exception) -> str:
    return error.detail if isinstance(error, Misuse) else f"{type(error).__name__}: {error}"


class _Crossing:
    """Sends answers with what they say to the browser of a page of another origin."""

    def __init__(self, send: Send, added: Iterable[tuple[str, str]]) -> None:
        self._send = send
        self._added = tuple(added)

    async def __call__(self, message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message.get("headers", ())]
            message = {**message, "headers": _raw(crossed(headers, self._added))}
        await self._send(message)


class _Answering:
    """Sends the application's answer with what the principal's answer has besides."""

    def __init__(self, send: Send, arrived: _Arrived) -> None:
        self._send, self._arrived = send, arrived
        self.has_begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.accept", "websocket.http.response.start"):
            self.has_begun = True
            if self._arrived.principal is not None:
                headers = list(message.get("headers", ()))
                present = [name.decode("latin-1") for name, _ in headers]
                message = {**message, "headers": [*headers, *_raw(completed(present, self._arrived.principal.headers))]}
        await self._send(message)


def _is_in_a_call() -> bool:
    """Whether an ASGI application is being called by this thread."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_locals.keys() >= {"scope", "receive", "send"}:
            return True
        frame = frame.f_back
    return False


async def _refuse(scope: Scope, send: Send, refusal: Refusal) -> None:
    await _answer(scope, send, refusal.status, refusal.headers, refusal.body)


async def _answer(scope: Scope, send: Send, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
    kind = "http.response"
    if scope["type"] == "websocket":
        if "websocket.http.response" not in scope.get("extensions", {}):
            # Before the handshake is accepted, this is answered with 403.
            await send({"type": "websocket.close", "code": 1008})
            return
        kind = "websocket.http.response"
    length = ("Content-Length", str(len(body)))
    await send({"type": f"{kind}.start", "status": status, "headers": _raw([*headers, length])})
    await send({"type": f"{kind}.body", "body": b"" if scope.get("method") == "HEAD" else body})


def _raw(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
