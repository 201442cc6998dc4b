"""What a verifier accepts."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from ._arguments import made_by_name
from ._options import listed, one, text, texts, whole
from ._types import given
from .errors import Misuse

__all__ = ["NonceKey", "Nonces", "Policy"]

#: Options that are numbers, which the core reads as they are.
NUMBERS = ("max_age", "max_ahead", "store_margin", "header_memory")

Preset = Literal["default", "fapi2", "mcp", "atproto", "haip"]


@made_by_name
@dataclass(frozen=True, slots=True, kw_only=True)
class NonceKey:
    """A secret that nonces are made with, the same on every node of a service, and its number from 0 to 255."""

    id: int
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.secret, bytes) or len(self.secret) != 32:
            raise Misuse("nonce_key", "the secret of a nonce key has 32 bytes; take secrets.token_bytes(32) and keep it")


@made_by_name
@dataclass(frozen=True, slots=True, kw_only=True)
class Nonces:
    """How nonces are issued (RFC 9449 sections 8 and 9): without a store, on every node that has the keys.

    Without `keys` a random one is made, which is good for one process.
    """

    keys: tuple[NonceKey, ...] = ()
    """The first makes nonces; all are taken, so that keys can be replaced."""
    namespace: str = ""
    """Names the service whose nodes share the keys: the identifier of a resource otherwise."""
    bound_to_key: bool = False
    """Makes each nonce for one client key alone; then :meth:`Verifier.fresh_nonce` has none to give."""
    short: bool = False
    """Ends nonces after 5 to 10 seconds instead of 30 to 60; each end costs a client one more request."""

    def __post_init__(self) -> None:
        text("namespace", self.namespace)
        # A list would do as well, but verifiers are remembered by their policy.
        object.__setattr__(self, "keys", tuple(listed("keys", self.keys, NonceKey)))


@made_by_name
@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a verifier accepts, within bounds that cannot be left.

    Times are in seconds. What is `None` is as the preset has it.
    """

    preset: Preset = "default"
    """Where it starts: `default`; `fapi2` (nonces required, algorithms of FAPI 2.0); `mcp` (`max_age` 300, `max_ahead` 60); `atproto` (ES256,
    nonces required); `haip` (ES256)."""
    algorithms: tuple[str, ...] | None = None
    """What proofs may be signed with: ES256, Ed25519 (EdDSA) and PS256 by default."""
    max_age: int | None = None
    """How old a proof may be, from 1 to 300: 60 by default."""
    max_ahead: int | None = None
    """How far ahead of this server's clock a proof may be dated, up to 60: 10 by default."""
    store_margin: int | None = None
    """How much longer than a proof can be accepted a store remembers it, from 1 to 600: 60 by default."""
    require_nonces: bool = False
    """Refuses proofs without a nonce of this service."""
    nonce_replaces_iat: bool = False
    """Takes the time of a proof from its nonce and not from `iat`, for clients whose clocks are wrong."""
    bare_htu: bool = False
    """Refuses an `htu` with a query or a fragment, which are ignored otherwise."""
    namespace: str = ""
    """Separates the proofs of services that share one replay store."""
    nonces: Nonces | Literal[False] | None = None
    """A :class:`~keybound.ResourceServer` issues nonces unless this is `False`; a :class:`~keybound.Verifier` if there are any."""
    header_memory: int = 4096
    """How many headers of proofs are remembered whose keys were checked: a client's next proof costs less."""

    def __post_init__(self) -> None:
        if self.nonces is not False:
            one("nonces", self.nonces, Nonces)
        text("preset", self.preset)
        text("namespace", self.namespace)
        for name in NUMBERS:
            whole(name, getattr(self, name))
        if self.algorithms is not None:
            object.__setattr__(self, "algorithms", tuple(texts("algorithms", self.algorithms)))

    def options(self) -> str:
        """The options as the core reads them: a JSON object. It may hold the secrets of nonce keys."""
        return _options(self)


@lru_cache(maxsize=64)
def _options(policy: Policy) -> str:
    nonces: dict[str, Any] | bool | None = policy.nonces if policy.nonces is False else None
    if policy.nonces:
        keys = [
            {"id": key.id, "secret": base64.urlsafe_b64encode(key.secret).rstrip(b"=").decode()} for key in policy.nonces.keys
        ]
        nonces = given(
            keys=keys,
            namespace=policy.nonces.namespace,
            bound_to_key=policy.nonces.bound_to_key,
            short=policy.nonces.short,
        )
    options = given(
        preset=policy.preset,
        require_nonces=policy.require_nonces,
        nonce_replaces_iat=policy.nonce_replaces_iat,
        bare_htu=policy.bare_htu,
        namespace=policy.namespace,
    )
    for name in NUMBERS:
        value = getattr(policy, name)
        if value is not None:
            options[name] = value
    if policy.algorithms is not None:
        options["algorithms"] = list(policy.algorithms)
    if nonces is not None:
        options["nonces"] = nonces
    return json.dumps(options)
