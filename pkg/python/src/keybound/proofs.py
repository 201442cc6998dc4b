"""Making proofs (RFC 9449 section 4.2), and remembering the nonces that servers give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from . import _keybound
from ._arguments import by_name
from ._options import text
from ._types import current
from .errors import NATIVE, reraise
from .keys import Key, Signature, Signer, jwk_of, signed, signing

__all__ = ["NonceCache", "UnsignedProof", "prepare", "proof"]


@by_name
def proof(
    *,
    key: Key | Signer,
    method: str,
    url: str,
    access_token: str | None = None,
    nonce: str | None = None,
    now: int | None = None,
) -> str:
    """A proof for one request: the value of its `DPoP` field, with a fresh `jti`.

    `url` is absolute; its query and fragment are left out of the proof. `access_token` goes without its scheme, and not at all to a
    token endpoint. `now` is in whole seconds since 1970, the clock's otherwise.

    Raises :class:`~keybound.Misuse` for a request that cannot be proved.

    >>> proof(key=Key.generate(), method="GET", url="https://api.example.com/items", access_token="…").count(".")  # doctest: +SKIP
    2
    """
    _texts(method=method, url=url, access_token=access_token, nonce=nonce)
    if isinstance(key, Key):
        try:
            return _keybound.proof(method, url, access_token, nonce, key._native, current(now))
        except NATIVE as error:
            reraise(error)
    signing(key)
    unsigned = prepare(
        public_jwk=key.public_jwk,
        algorithm=key.algorithm,
        method=method,
        url=url,
        access_token=access_token,
        nonce=nonce,
        now=now,
    )
    return unsigned.attach(signed(key, unsigned.message, unsigned.digest))


class UnsignedProof:
    """A proof that lacks its signature, for keys that are asked some other way."""

    __slots__ = ("_native",)

    def __init__(self, native: _keybound.Unsigned) -> None:
        self._native = native

    @property
    def message(self) -> bytes:
        """What is to be signed: ASCII."""
        return self._native.message()

    @property
    def digest(self) -> bytes | None:
        """The message's digest by the algorithm's own hash; none for Ed25519."""
        return self._native.digest()

    def attach(self, signature: Signature) -> str:
        """The finished proof. The signature is verified; a wrong key, hash or encoding is :class:`~keybound.Misuse`."""
        try:
            return self._native.attach(signature.value, signature.encoding)
        except NATIVE as error:
            reraise(error)


@by_name
def prepare(
    *,
    public_jwk: object,
    algorithm: str,
    method: str,
    url: str,
    access_token: str | None = None,
    nonce: str | None = None,
    now: int | None = None,
) -> UnsignedProof:
    """A proof for a key elsewhere, whose public JWK is given, without its signature."""
    _texts(algorithm=algorithm, method=method, url=url, access_token=access_token, nonce=nonce)
    jwk = jwk_of("public_jwk", public_jwk)
    try:
        return UnsignedProof(_keybound.prepare(method, url, access_token, nonce, jwk, algorithm, current(now)))
    except NATIVE as error:
        reraise(error)


def _texts(**arguments: object) -> None:
    for name, value in arguments.items():
        text(name, value)


class NonceCache:
    """The nonces that servers gave, by origin, role and key: for callers who send requests themselves.

    Roles are `resource` and `token`. It holds 256 nonces and drops those used longest ago.
    """

    __slots__ = ("_native",)

    def __init__(self) -> None:
        self._native = _keybound.NonceCache()

    def observe(self, *, origin: str, role: Literal["resource", "token"], thumbprint: str, values: Sequence[bytes]) -> None:
        """Keeps what a response says: all its `DPoP-Nonce` values, for every response, success included (RFC 9449 section 8.2)."""
        try:
            self._native.observe(origin, role, thumbprint, [value.decode("latin-1") for value in values])
        except NATIVE as error:
            reraise(error)

    def get(self, *, origin: str, role: Literal["resource", "token"], thumbprint: str) -> str | None:
        """The nonce for the next proof."""
        try:
            return self._native.get(origin, role, thumbprint)
        except NATIVE as error:
            reraise(error)
