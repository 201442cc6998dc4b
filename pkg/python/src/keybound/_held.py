"""A session for a token that was obtained elsewhere, for the adapters of HTTP libraries."""

from __future__ import annotations

from .client import Client, Session
from .keys import Key, Signer, signing, thumbprint
from .sessions import MemoryStore


def hold(
    access_token: str, *, key: Key | Signer, resource: str, expires_at: int | None, allow_loopback: bool
) -> tuple[Client, Session]:
    """A client with nothing but this session, and the session: its token is bound to `key`, and goes to targets under `resource` alone."""
    signing(key)
    store = MemoryStore()
    store.add_key(key, thumbprint(key.public_jwk))
    client = Client(store=store, algorithms=[key.algorithm], allow_loopback=allow_loopback)
    return client, client.adopt(access_token, key=key, resource=resource, expires_at=expires_at)
