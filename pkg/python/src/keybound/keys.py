"""Keys that sign proofs: in this process, or wherever the caller keeps them."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from . import _keybound
from ._options import json_of, needed, text, told
from ._types import Protection
from .errors import NATIVE, Misuse, reraise

__all__ = ["CryptographySigner", "Key", "Protection", "Signature", "Signer", "thumbprint"]


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature in the encoding that its signer declares; it is never guessed.

    >>> Signature.raw(bytes(64)).encoding
    'raw'
    """

    value: bytes = field(repr=False)
    encoding: Literal["raw", "der"]

    @classmethod
    def raw(cls, value: bytes) -> Signature:
        """As JOSE has it: R and S side by side for ECDSA (RFC 7518 section 3.4), the plain bytes of all others."""
        return cls(value, "raw")

    @classmethod
    def der(cls, value: bytes) -> Signature:
        """ECDSA as ASN.1 DER, as OpenSSL, `cryptography`, Java and most cloud services give it."""
        return cls(value, "der")


@runtime_checkable
class Signer(Protocol):
    """A key outside this process: in an HSM, a cloud service, another library.

    It is offered the message and its digest and signs whichever it wants.
    """

    @property
    def algorithm(self) -> str:
        """The JOSE name of what it signs with, for example `ES256`."""

    @property
    def public_jwk(self) -> Mapping[str, str]:
        """Its public part as a JWK (RFC 7517)."""

    @property
    def protection(self) -> Protection:
        """Where it lives."""

    def sign(self, message: bytes, digest: bytes | None) -> Signature:
        """Signs `message`, or `digest`, its hash by the algorithm's own function (`None` for Ed25519)."""


class Key:
    """A key in this process. Its `repr` shows no secret.

    >>> key = Key.generate()
    >>> key.algorithm, len(key.thumbprint)
    ('ES256', 43)
    """

    __slots__ = ("_native",)

    def __init__(self, native: _keybound.Key) -> None:
        self._native = native

    @classmethod
    def generate(cls, algorithm: str = "ES256") -> Key:
        """A new key. Raises :class:`Misuse` for an algorithm that is none of proofs."""
        try:
            return cls(_keybound.Key.generate(algorithm))
        except NATIVE as error:
            reraise(error)

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any] | str, *, algorithm: str | None = None) -> Key:
        """A private JWK (RFC 7517). Its public part is computed anew and compared."""
        try:
            return cls(_keybound.Key.from_jwk(jwk_of("jwk", jwk), text("algorithm", algorithm)))
        except NATIVE as error:
            reraise(error)

    @classmethod
    def from_pem(cls, pem: str | bytes, *, algorithm: str | None = None) -> Key:
        """An unencrypted PKCS#8 key (`BEGIN PRIVATE KEY`)."""
        if not isinstance(pem, str):
            pem = needed("pem", pem, bytes, _reading("Key.from_pem", pem)).decode("ascii", "replace")
        try:
            return cls(_keybound.Key.from_pem(pem, text("algorithm", algorithm)))
        except NATIVE as error:
            reraise(error)

    @classmethod
    def from_der(cls, der: bytes, *, algorithm: str | None = None) -> Key:
        """An unencrypted PKCS#8 key."""
        if isinstance(der, (bytearray, memoryview)):
            der = bytes(der)
        needed("der", der, bytes, _reading("Key.from_der", der))
        try:
            return cls(_keybound.Key.from_der(der, text("algorithm", algorithm)))
        except NATIVE as error:
            reraise(error)

    @classmethod
    def from_cryptography(cls, private_key: Any, *, algorithm: str | None = None) -> Key:
        """A copy of a private key of the library `cryptography`; see :class:`CryptographySigner` for one that cannot be copied."""
        from cryptography.hazmat.primitives import serialization as form

        algorithm = _fitting_algorithm(private_key, algorithm)
        der = private_key.private_bytes(form.Encoding.DER, form.PrivateFormat.PKCS8, form.NoEncryption())
        return cls.from_der(der, algorithm=algorithm)

    @property
    def algorithm(self) -> str:
        """What it signs with."""
        return self._native.algorithm()

    @property
    def public_jwk(self) -> dict[str, str]:
        """Its public part: the required members alone."""
        jwk: dict[str, str] = json.loads(self._native.public_jwk())
        return jwk

    @property
    def thumbprint(self) -> str:
        """Its SHA-256 thumbprint (RFC 7638): 43 base64url characters, as in `cnf.jkt` and `dpop_jkt`."""
        return self._native.thumbprint()

    @property
    def protection(self) -> Protection:
        """Software: it is in this process."""
        return Protection.SOFTWARE

    def sign(self, message: bytes, digest: bytes | None = None) -> Signature:
        """Signs `message`; the digest is not needed."""
        try:
            return Signature.raw(self._native.sign(message))
        except NATIVE as error:
            reraise(error)

    def danger_private_jwk(self) -> str:
        """The private key as JWK: a secret."""
        try:
            return self._native.danger_private_jwk()
        except NATIVE as error:
            reraise(error)

    def danger_private_pem(self) -> str:
        """The private key as PKCS#8 in PEM: a secret."""
        try:
            return self._native.danger_private_pem()
        except NATIVE as error:
            reraise(error)

    def __repr__(self) -> str:
        return f"Key({self.algorithm}, {self.thumbprint[:6]}…)"

    def __reduce__(self) -> Any:
        raise Misuse("not_picklable", "a key does not leave its process by itself; use danger_private_jwk if it has to")


class CryptographySigner:
    """A private key of the library `cryptography`, used where it is: P-256, P-384, P-521, Ed25519 or RSA.

    It is also the pattern for a key of PKCS#11 or a cloud service: sign the digest, and say which encoding comes back.
    """

    def __init__(
        self, private_key: Any, *, algorithm: str | None = None, protection: Protection = Protection.SOFTWARE
    ) -> None:
        """Raises :class:`Misuse` for a key of another type, or one that `algorithm` is not for."""
        self._key = private_key
        self.protection = protection
        self.algorithm = _fitting_algorithm(private_key, algorithm)

    @property
    def public_jwk(self) -> dict[str, str]:
        """Its public part."""
        return _jwk_of(self._key.public_key())

    def sign(self, message: bytes, digest: bytes | None) -> Signature:
        """Signs by `cryptography`."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

        if self.algorithm in ("Ed25519", "EdDSA"):
            return Signature.raw(self._key.sign(message))
        hash_ = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[self.algorithm[-3:]]
        prehashed = utils.Prehashed(hash_)
        assert digest is not None
        if self.algorithm.startswith("ES"):
            return Signature.der(self._key.sign(digest, ec.ECDSA(prehashed)))
        if self.algorithm.startswith("PS"):
            scheme: Any = padding.PSS(padding.MGF1(hash_), hash_.digest_size)
        else:
            scheme = padding.PKCS1v15()
        return Signature.raw(self._key.sign(digest, scheme, prehashed))

    def __repr__(self) -> str:
        return f"CryptographySigner({self.algorithm})"


def signing(key: Any) -> Signer:
    """An argument `key`: what signs proofs."""
    lacking = [name for name in ("algorithm", "public_jwk", "sign") if isinstance(key, type) or not hasattr(key, name)]
    if lacking:
        raise Misuse("wrong_type", f"key is a Key or a Signer, and this is {told(key)}{_made_from(key)}")
    return key  # type: ignore[no-any-return]


def _made_from(key: object) -> str:
    """How to make a key from what was given in its place."""
    if inspect.isawaitable(key):
        return ""
    if isinstance(key, Mapping):
        return "; write key=Key.from_jwk(…)"
    if type(key).__module__.partition(".")[0] == "cryptography":
        return "; write key=Key.from_cryptography(…), or CryptographySigner(…) for a key that stays where it is"
    if isinstance(key, (str, bytes)):
        return "; write key=Key.from_pem(…) or Key.from_jwk(…)"
    return "; write key=Key.generate()"


def _reading(function: str, given: object) -> str:
    if isinstance(given, os.PathLike):
        return f"{function}(path.read_bytes())"
    return f"{function}(…) with what is in the file"


def jwk_of(argument: str, jwk: object) -> str:
    """A JWK as text."""
    if isinstance(jwk, str):
        return jwk
    kind: type[Any] = Mapping
    given = needed(argument, jwk, kind, f"{argument}={{\"kty\": …}}, or its JSON as a text")
    return json_of(argument, dict(given), "the members of a JWK are texts")


def signed(key: Signer, message: bytes, digest: bytes | None) -> Signature:
    """What a signer gives, which says its encoding: bytes alone could be either, and a coroutine is no signature yet."""
    given: object = key.sign(message, digest)
    if isinstance(given, Signature):
        return given
    if inspect.iscoroutine(given):
        given.close()
    what = "something to be awaited" if inspect.isawaitable(given) else f"a value of type {type(given).__name__}"
    raise Misuse("not_a_signature", f"a signer gives Signature.raw(…) or Signature.der(…), and this is {what}")


def _fitting_algorithm(private_key: Any, wanted: str | None) -> str:
    """What a private key of `cryptography` signs with: what is wanted, or else what is usual for its type."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    fitting: tuple[str, ...] = ()
    if isinstance(private_key, ec.EllipticCurvePrivateKey):
        curves = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}
        fitting = curves.get(private_key.curve.name, ())
    elif isinstance(private_key, ed25519.Ed25519PrivateKey):
        fitting = ("Ed25519", "EdDSA")
    elif isinstance(private_key, rsa.RSAPrivateKey):
        fitting = ("PS256", "PS384", "PS512", "RS256", "RS384", "RS512")
    if not fitting:
        curve = getattr(getattr(private_key, "curve", None), "name", None)
        what = told(private_key) if curve is None else f"a key of {curve}"
        detail = f"this is {what}, and proofs are signed with private keys of P-256, P-384, P-521, Ed25519 or RSA; take one of these"
        raise Misuse("key_unusable", detail)
    if wanted is not None and wanted not in fitting:
        raise Misuse("key_unusable", f"this key signs with {' or '.join(fitting)}, not with what was asked for")
    return wanted or fitting[0]


def _jwk_of(public_key: Any) -> dict[str, str]:
    """The JWK of a public key of `cryptography`."""
    from base64 import urlsafe_b64encode

    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    def text(value: bytes) -> str:
        return urlsafe_b64encode(value).rstrip(b"=").decode()

    def number(value: int, length: int | None = None) -> str:
        return text(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))

    if isinstance(public_key, ec.EllipticCurvePublicKey):
        numbers, size = public_key.public_numbers(), (public_key.key_size + 7) // 8
        curve = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}[public_key.curve.name]
        return {"kty": "EC", "crv": curve, "x": number(numbers.x, size), "y": number(numbers.y, size)}
    if isinstance(public_key, ed25519.Ed25519PublicKey):
        raw = public_key.public_bytes(form.Encoding.Raw, form.PublicFormat.Raw)
        return {"kty": "OKP", "crv": "Ed25519", "x": text(raw)}
    rsa_numbers = public_key.public_numbers()
    return {"kty": "RSA", "n": number(rsa_numbers.n), "e": number(rsa_numbers.e)}


def thumbprint(jwk: Mapping[str, Any] | str) -> str:
    """The SHA-256 thumbprint of a public JWK (RFC 7638): 43 base64url characters."""
    try:
        return _keybound.thumbprint(jwk_of("jwk", jwk))
    except NATIVE as error:
        reraise(error)
