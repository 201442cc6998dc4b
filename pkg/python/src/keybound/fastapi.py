"""Protects FastAPI applications, and says in their OpenAPI document what to send.

    from typing import Annotated
    from fastapi import Depends, FastAPI
    from keybound.fastapi import Principal, protect, require

    app = FastAPI()
    protect(app, resource="https://api.example.com", issuers=["https://as.example.com"], public=["/docs", "/openapi.json"])

    @app.get("/items")
    async def items(principal: Annotated[Principal, Depends(require("items:read"))]) -> dict[str, str | None]:
        return {"hello": principal.subject}

It is `keybound.starlette` with dependencies that FastAPI knows as a security scheme: `/docs` shows a lock at their routes. A test
overrides the dependency that all of them ask, and scopes are still compared:

    app.dependency_overrides[authenticated] = lambda: principal
"""

# Without `from __future__ import annotations`: FastAPI reads the annotations of these dependencies.
import functools
from collections.abc import Callable
from typing import Annotated, Any, Concatenate, ParamSpec

from fastapi import Depends, FastAPI
from fastapi.openapi.models import APIKey, APIKeyIn
from fastapi.security.base import SecurityBase
from starlette.applications import Starlette
from starlette.requests import HTTPConnection

from . import starlette
from ._options import scopes_of
from .principal import Principal
from .resource import AsyncResourceServer
from .starlette import KeyboundMiddleware, metadata_route

__all__ = ["KeyboundMiddleware", "Principal", "authenticated", "metadata_route", "optional", "protect", "require"]

P = ParamSpec("P")

#: The names of the two header fields in the OpenAPI document (RFC 9449 section 7). A scheme `http` with `dpop` would say the same in one, but `/docs`
#: shows it as not supported, without its description.
TOKEN, PROOF = "DPoP token", "DPoP proof"
TOKEN_SENT = "The word `DPoP`, a space, and an access token that is bound to a key."
PROOF_SENT = (
    "A proof, made by the key of the token for one request: another one for each. The answer 401 with `use_dpop_nonce` has the nonce for the next "
    "proof in `DPoP-Nonce`. Clients of Keybound make both fields; by hand, `keybound proof` makes a proof."
)


def _documenting(protect: Callable[Concatenate[Starlette, P], AsyncResourceServer]) -> Callable[Concatenate[FastAPI, P], AsyncResourceServer]:
    """The same for FastAPI, whose OpenAPI document then says that both fields are sent together."""

    @functools.wraps(protect)
    def protect_documented(app: FastAPI, /, *args: P.args, **kwargs: P.kwargs) -> AsyncResourceServer:
        server = protect(app, *args, **kwargs)
        written = app.openapi

        def openapi() -> dict[str, Any]:
            document = written()
            schemes = document.get("components", {}).get("securitySchemes", {})
            if TOKEN in schemes:
                schemes[PROOF] = {"type": "apiKey", "in": "header", "name": "DPoP", "description": PROOF_SENT}
            for item in document.get("paths", {}).values():
                for operation in item.values():
                    for needed in operation.get("security", ()) if isinstance(operation, dict) else ():
                        if TOKEN in needed:
                            needed[PROOF] = []
            return document

        app.openapi = openapi  # type: ignore[method-assign]
        return server

    return protect_documented


protect = _documenting(starlette.protect)


class _Scheme(SecurityBase):
    """What the OpenAPI document says of protected routes."""

    def __init__(self) -> None:
        self.scheme_name = TOKEN
        self.model = APIKey(**{"in": APIKeyIn.header}, name="Authorization", description=TOKEN_SENT)  # type: ignore[arg-type]


class _Authenticated(_Scheme):
    async def __call__(self, connection: HTTPConnection) -> Principal:
        """The principal of this request."""
        return await starlette.authenticated(connection)


#: The dependency that gives the principal of a request, whatever its scopes. :class:`require` asks it.
authenticated = _Authenticated()


class require:
    """A dependency that gives the principal, if its token has all of `scopes`; others are answered 403."""

    def __init__(self, *scopes: str) -> None:
        self.scopes = scopes_of(scopes)

    async def __call__(self, principal: Annotated[Principal, Depends(authenticated)]) -> Principal:
        """The principal of this request."""
        principal.require(*self.scopes)
        return principal

    def __eq__(self, other: object) -> bool:
        return isinstance(other, require) and other.scopes == self.scopes

    def __hash__(self) -> int:
        return hash((require, *self.scopes))


class optional(_Scheme, starlette.optional):
    """A dependency that gives the principal, or `None` if a request has neither `Authorization` nor `DPoP`. A request that has one of them
    is authenticated, and answered if it is refused. For paths that are `public`, and for applications protected `by_route`."""
