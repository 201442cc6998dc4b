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
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ._resource import check_server_options
from ._options import flag, one, public_paths, texts
from ._resource_app import METADATA_FIELDS, OWN_OPTIONS, asgi_fields, check_process, completed, log, refuse_route, told_by_asgi
from .errors import Misuse, Refused
from .resource import AsyncResourceServer, Incoming, Principal, Refusal, ResourceOptions
from .stores import AsyncReplayStore, ReplayStore
from .transport import AsyncTransport

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["KeyboundMiddleware", "Principal", "protect", "require"]


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
        workers: int | None = None,
        danger_decoded_path: bool = False,
        **options: Unpack[ResourceOptions],
    ) -> None:
        """Lays the protection around `app`.

        `server` decides; without one, it is made of `options`: those of :class:`AsyncResourceServer`. `public` lists the paths, decoded
        and exact, behind the mount point, that need no token. `workers=1` says that one process serves the application, where that
        cannot be seen.

        Raises :class:`Misuse` for options that cannot be used, and where several processes would each remember proofs for themselves.
        Starlette makes its middleware at the first call: then the server is told that its start failed, and where it does not ask, every
        request is answered with status 500. :func:`protect` raises at once.
        """
        self.app = app
        self._unusable: Exception | None = None
        self._has_told = False
        try:
            if excess:
                raise Misuse("unknown_option", "options have names; write KeyboundMiddleware(app, resource=…, issuers=[…])")
            check_server_options(options, *OWN_OPTIONS)
            if server is not None and (options or store is not None or transport is not None or workers is not None):
                raise Misuse("unknown_option", "give either a server or the options of one")
            self._public = public_paths(public)
            self._decoded = flag("danger_decoded_path", danger_decoded_path)
            if server is None:
                server = AsyncResourceServer(store=store, transport=transport, workers=workers, **options)
            one("server", server, AsyncResourceServer)
            self.server = server
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
        told = told_by_asgi(scope)
        try:
            path = told.routed(self.server)
        except Refused as refused:
            await _refuse(scope, send, refuse_route(self.server, refused))
            return
        if path in self._public:
            await self.app(scope, receive, send)
            return
        if scope.get("method") in ("GET", "HEAD") and path == self.server.metadata_path:
            await _answer(scope, send, 200, METADATA_FIELDS, self.server.metadata())
            return
        try:
            check_process(self.server, {})
            target = told.target(self._decoded)
        except Misuse as error:
            # So it is with every request: nothing about it is the peer's fault.
            log.error("%s", error)
            await _answer(scope, send, 500, [("Content-Type", "text/plain")], f"keybound: {error}\n".encode())
            return
        answering = _Answering(send)
        try:
            # A WebSocket's handshake is a GET request (RFC 6455 section 4.1).
            method, peer = scope.get("method", "GET"), scope["client"][0] if scope.get("client") else None
            route = _route(scope) if self.server.is_audited else None
            given = Incoming(method=method, target=target, headers=asgi_fields(scope), peer=peer, route=route)
            principal = await self.server.authenticate(given)
            scope.setdefault("state", {})["principal"] = principal
            answering.principal = principal
            await self.app(scope, receive, answering)
        except Refused as refused:
            if answering.has_begun:
                raise
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
    workers: int | None = None,
    danger_decoded_path: bool = False,
    **options: Unpack[ResourceOptions],
) -> None:
    """Adds :class:`KeyboundMiddleware` to an application of Starlette or FastAPI, and checks its options at once.

    Raises :class:`Misuse` where it is called, so that no server starts with options that cannot be used: one that calls no lifespan
    (daphne, `uvicorn --lifespan off`) would not notice otherwise.
    """
    made = KeyboundMiddleware(
        app, server=server, store=store, transport=transport, public=public, workers=workers, danger_decoded_path=danger_decoded_path, **options
    )
    if made._unusable is not None:
        raise made._unusable
    judged: dict[str, Any] = {"server": made.server, "public": made._public, "danger_decoded_path": danger_decoded_path}
    app.add_middleware(KeyboundMiddleware, **judged)


class require:
    """A FastAPI dependency that gives the principal, if its token has all of `scopes`; others are answered 403."""

    def __init__(self, *scopes: str) -> None:
        self.scopes = texts("scopes", scopes)

    async def __call__(self, connection: HTTPConnection) -> Principal:
        """The principal of this request."""
        principal = getattr(connection.state, "principal", None)
        if not isinstance(principal, Principal):
            raise Misuse("not_protected", "this route asks for a principal; add KeyboundMiddleware to its application")
        principal.require(*self.scopes)
        return principal


def _route(scope: Scope) -> str | None:
    """The template of the route, which Starlette looks up after its middleware. Of a mounted application it is the place."""
    for route in getattr(scope.get("app"), "routes", ()):
        match, _ = route.matches(scope)
        if match is Match.FULL:
            return str(getattr(route, "path", "")) or None
    return None


def _sentence(error: Exception) -> str:
    return error.detail if isinstance(error, Misuse) else f"{type(error).__name__}: {error}"


class _Answering:
    """Sends the application's answer with what the principal's answer has besides."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.principal: Principal | None = None
        self.has_begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.accept", "websocket.http.response.start"):
            headers = list(message.get("headers", ()))
            present = [name.decode("latin-1") for name, _ in headers]
            added = completed(present, self.principal.headers if self.principal is not None else ())
            message = {**message, "headers": [*headers, *_raw(added)]}
            self.has_begun = True
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
