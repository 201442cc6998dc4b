"""A FastAPI application."""

from typing import Annotated

from fastapi import Depends, FastAPI
from settings import OPTIONS

from keybound.starlette import Principal, protect, require

app = FastAPI()
protect(app, **OPTIONS)


@app.get("/health")
async def health() -> str:
    return "fine"


@app.get("/api/vault")
async def vault() -> str:
    """Protected by the middleware alone."""
    return "gold"


@app.api_route("/api/write", methods=["GET", "POST"])
async def write(principal: Annotated[Principal, Depends(require("write"))]) -> dict[str, bool]:
    return {"wrote": True}


@app.api_route("/api/{rest:path}", methods=["GET", "POST"])
def echo(rest: str, principal: Annotated[Principal, Depends(require())]) -> dict[str, str | None]:
    return {"path": f"/api/{rest}", "subject": principal.subject, "thumbprint": principal.thumbprint}
