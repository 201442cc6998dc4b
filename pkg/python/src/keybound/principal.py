"""Who sends an admitted request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import _keybound
from ._options import scopes_of
from ._types import Refusal
from .errors import Refused, refusal_of, reraise
from .intents import Intent

if TYPE_CHECKING:
    from ._resource import Resource

__all__ = ["Principal", "principal_of"]


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
    native: _keybound.Principal = field(repr=False, compare=False)
    server: Resource = field(repr=False, compare=False)
    """The :class:`~keybound.ResourceServer` or :class:`~keybound.AsyncResourceServer` that admitted the request."""

    @property
    def authorization_details(self) -> Any:
        """The granted details (RFC 9396): a list, or `None`."""
        return self.claims.get("authorization_details")

    def has_scope(self, scope: str) -> bool:
        """Whether the token permits `scope`."""
        return scope in self.scopes

    def require(self, *scopes: str) -> None:
        """Raises :class:`~keybound.Refused` with status 403 if the token lacks one of `scopes`."""
        refused = self.native.require_scopes(scopes_of(scopes))
        if refused is not None:
            raise Refused(refusal_of(json.loads(refused)))

    def intent(self) -> Intent:
        """The intent that the token carries. Raises :class:`~keybound.IntentRejected` if there is none."""
        try:
            return Intent(self.native.intent())
        except _keybound.NativeError as error:
            reraise(error)

    def carry_out(self, *, method: str, url: str, body: bytes, now: int | None = None) -> Any:
        """Carries out the intent that the token carries, once: compares the request with its details, body included, and uses the
        token up in the server's replay store.

        `url` is the whole URL, query included. For a handler at one of the server's `intents_at`: elsewhere no such token comes.
        Gives the :class:`~keybound.Intent`; of an :class:`~keybound.AsyncResourceServer` it is awaited.

        Raises :class:`~keybound.Refused` with the answer to send: 403 if the request is another one or the intent was carried out
        before.
        """
        return self.server._run(self.server._carried_out(self, method, url, body, now))

    def revoked(self) -> Refusal:
        """The answer for a token that the caller knows to be revoked: 401."""
        return refusal_of(json.loads(self.native.refuse_revoked()))


def principal_of(told: dict[str, Any], native: _keybound.Principal, server: Resource) -> Principal:
    """The principal as the core tells it."""
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
        native=native,
        server=server,
    )
