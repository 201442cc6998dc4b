"""Applications for several workers: proofs are remembered in a file, and all workers issue nonces with one key."""

import os
import sys
from pathlib import Path

from flask import Flask, g
from settings import OPTIONS
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from keybound import NonceKey, Nonces, Policy
from keybound.flask import Keybound
from keybound.starlette import KeyboundMiddleware

sys.path.append(str(Path(__file__).resolve().parents[5] / "examples" / "python-store"))
from sqlite_store import SqliteReplayStore  # noqa: E402

SHARED = {
    **OPTIONS,
    "policy": Policy(nonces=Nonces(keys=(NonceKey(id=1, secret=bytes(range(32))),))),
    "store": SqliteReplayStore(os.environ["PROOFS"], namespace="shared"),
}

wsgi = Flask(__name__)
Keybound(wsgi, **SHARED)


@wsgi.get("/api/items")
def items() -> dict[str, object]:
    return {"worker": os.getpid(), "subject": g.principal.subject}


async def async_items(request: Request) -> JSONResponse:
    return JSONResponse({"worker": os.getpid(), "subject": request.state.principal.subject})


asgi = Starlette(routes=[Route("/api/items", async_items)], middleware=[Middleware(KeyboundMiddleware, **SHARED)])
