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
from typing import Annotated

from fastapi import Depends
from fastapi.openapi.models import HTTPBase
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from . import starlette
from ._options import texts
from .principal import Principal
from .starlette import KeyboundMiddleware, metadata_route, protect

__all__ = ["KeyboundMiddleware", "Principal", "authenticated", "metadata_route", "optional", "protect", "require"]

SENT = (
    "Two header fields (RFC 9449 section 7): `Authorization: DPoP` and an access token that is bound to a key, and `DPoP` with a proof "
    "made by that key for this one request. A 401 with `use_dpop_nonce` has the nonce for the next proof in `DPoP-Nonce`. "
    "This page cannot make proofs; a client of a Keybound package can."
)


class _Scheme(SecurityBase):
    """What the OpenAPI document says of protected routes."""

    def __init__(self) -> None:
        self.scheme_name = "DPoP"
        self.model = HTTPBase(scheme="dpop", description=SENT)


class _Authenticated(_Scheme):
    async def __call__(self, connection: HTTPConnection) -> Principal:
        """The principal of this request."""
        return await starlette.authenticated(connection)


#: The dependency that gives the principal of a request, whatever its scopes. :class:`require` asks it.
authenticated = _Authenticated()


class require:
    """A dependency that gives the principal, if its token has all of `scopes`; others are answered 403."""

    def __init__(self, *scopes: str) -> None:
        self.scopes = texts("scopes", scopes)

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
