"""A Starlette application: what it answers shows what it was asked."""

from settings import OPTIONS
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from keybound.starlette import KeyboundMiddleware


async def echo(request: Request) -> JSONResponse:
    principal = request.state.principal
    return JSONResponse({"path": request.url.path, "subject": principal.subject, "thumbprint": principal.thumbprint})


async def write(request: Request) -> JSONResponse:
    request.state.principal.require("write")
    return JSONResponse({"wrote": True}, headers={"Cache-Control": "max-age=5"})


async def health(request: Request) -> PlainTextResponse:
    return PlainTextResponse("fine")


async def vault(request: Request) -> PlainTextResponse:
    """Protected by the middleware alone."""
    return PlainTextResponse("gold")


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(websocket.state.principal.subject)
    await websocket.close()


app = Starlette(
    routes=[
        Route("/health", health),
        Route("/api/vault", vault),
        Route("/api/write", write, methods=["GET", "POST"]),
        WebSocketRoute("/api/socket", socket),
        Route("/api/{rest:path}", echo, methods=["GET", "POST"]),
    ],
    middleware=[Middleware(KeyboundMiddleware, **OPTIONS)],
)


async def decoded(scope: Scope, receive: Receive, send: Send) -> None:
    """The same behind a server that knows decoded paths alone."""
    await app({name: value for name, value in scope.items() if name != "raw_path"}, receive, send)
