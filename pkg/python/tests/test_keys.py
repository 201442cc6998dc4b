"""Keys of every origin: this process, `cryptography`, and whatever signs outside."""

from __future__ import annotations

import copy
import json
import pickle
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from keybound import (
    CryptographySigner,
    Key,
    MemoryReplayStore,
    Misuse,
    Policy,
    Protection,
    Signature,
    Signer,
    prepare,
    proof,
    thumbprint,
    verify,
)
from test_vectors import ALL

URL = "https://api.example.com/items"
EVERY = Policy(algorithms=ALL)


def accepted(text: str, jkt: str) -> bool:
    """Whether a verifier that permits everything takes the proof."""
    store = MemoryReplayStore(policy=EVERY, now=int(time.time()) - 3600)
    verified = verify(store=store, policy=EVERY, proof=text, method="POST", url=URL, bound_to=jkt, at_authorization_server=True)
    return verified.thumbprint == jkt


def made(key: Key | Signer) -> str:
    return proof(key=key, method="POST", url=URL)


RSA = rsa.generate_private_key(65537, 2048)
PRIVATE: dict[str, Any] = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "PS256": RSA,
    "PS384": RSA,
    "PS512": RSA,
    "RS256": RSA,
}


def pkcs8(private: Any, encoding: serialization.Encoding) -> bytes:
    exported: bytes = private.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return exported


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "Ed25519", "EdDSA", "PS256"])
def test_generated_keys(algorithm: str) -> None:
    key = Key.generate(algorithm)
    assert key.algorithm == algorithm
    assert key.protection is Protection.SOFTWARE
    assert thumbprint(key.public_jwk) == key.thumbprint == thumbprint(json.dumps(key.public_jwk))
    assert accepted(made(key), key.thumbprint)


@pytest.mark.parametrize("algorithm", PRIVATE)
def test_keys_of_cryptography(algorithm: str) -> None:
    private = PRIVATE[algorithm]
    copied = Key.from_cryptography(private, algorithm=algorithm)
    signer = CryptographySigner(private, algorithm=algorithm, protection=Protection.HSM)
    der = Key.from_der(pkcs8(private, serialization.Encoding.DER), algorithm=algorithm)
    pem = pkcs8(private, serialization.Encoding.PEM)
    keys = [copied, der, Key.from_pem(pem, algorithm=algorithm), Key.from_pem(pem.decode(), algorithm=algorithm)]
    jwk = json.loads(copied.danger_private_jwk())
    keys += [Key.from_jwk(jwk), Key.from_jwk(json.dumps(jwk)), Key.from_pem(copied.danger_private_pem(), algorithm=algorithm)]
    for key in keys:
        assert (key.algorithm, key.thumbprint, key.public_jwk) == (algorithm, copied.thumbprint, signer.public_jwk)
        assert accepted(made(key), copied.thumbprint)
    assert isinstance(signer, Signer) and signer.protection is Protection.HSM
    assert accepted(made(signer), copied.thumbprint)


def test_the_usual_algorithm_is_chosen() -> None:
    usual = {name: CryptographySigner(PRIVATE[name]).algorithm for name in ("ES256", "ES384", "ES512", "Ed25519", "PS256")}
    assert usual == {name: name for name in usual}
    assert Key.from_cryptography(PRIVATE["ES384"]).algorithm == "ES384"


@pytest.mark.parametrize(
    "private",
    [ec.generate_private_key(ec.SECP256K1()), x25519.X25519PrivateKey.generate(), dsa.generate_private_key(2048), object()],
    ids=["secp256k1", "x25519", "dsa", "object"],
)
def test_other_keys_are_named(private: Any) -> None:
    with pytest.raises(Misuse) as told:
        CryptographySigner(private)
    assert told.value.reason == "key_unusable"
    with pytest.raises(Misuse) as told:
        Key.from_cryptography(private)
    assert told.value.reason == "key_unusable"
    assert "P-256" in told.value.detail


class Outside:
    """A key elsewhere, which gives its signature in one encoding and says another if it is told to."""

    algorithm = "ES256"
    protection = Protection.REMOTE_KMS

    def __init__(self, encoding: str, said: str | None = None, public: Any = None) -> None:
        self._key = PRIVATE["ES256"]
        self._encoding, self._said = encoding, said or encoding
        self.public_jwk = public or Key.from_cryptography(self._key).public_jwk
        self.asked: list[tuple[bytes, bytes | None]] = []

    def sign(self, message: bytes, digest: bytes | None) -> Signature:
        self.asked.append((message, digest))
        der = self._key.sign(message, ec.ECDSA(hashes.SHA256()))
        r, s = decode_dss_signature(der)
        value = der if self._encoding == "der" else r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return Signature.der(value) if self._said == "der" else Signature.raw(value)


@pytest.mark.parametrize("encoding", ["raw", "der"])
def test_outside_signers(encoding: str) -> None:
    signer = Outside(encoding)
    assert accepted(made(signer), thumbprint(signer.public_jwk))
    ((message, digest),) = signer.asked
    expected = hashes.Hash(hashes.SHA256())
    expected.update(message)
    assert digest == expected.finalize()


@pytest.mark.parametrize(("encoding", "said"), [("raw", "der"), ("der", "raw")])
def test_the_wrong_encoding_is_named(encoding: str, said: str) -> None:
    with pytest.raises(Misuse) as told:
        made(Outside(encoding, said))
    assert "signature" in told.value.reason
    assert "raw" in told.value.detail or "der" in told.value.detail.lower()


def test_another_key_is_noticed_at_once() -> None:
    with pytest.raises(Misuse) as told:
        made(Outside("raw", public=Key.generate().public_jwk))
    assert "does not verify with its public key; check which key it used" in told.value.detail
    with pytest.raises(Misuse):
        made(Outside("raw", public=Key.generate("ES384").public_jwk))


def test_a_proof_without_its_signature() -> None:
    key = Key.generate()
    unsigned = prepare(public_jwk=key.public_jwk, algorithm="ES256", method="POST", url=URL)
    assert unsigned.digest is not None and len(unsigned.digest) == 32
    text = unsigned.attach(key.sign(unsigned.message))
    assert text.startswith(unsigned.message.decode("ascii") + ".")
    assert accepted(text, key.thumbprint)
    with pytest.raises(Misuse) as told:
        unsigned.attach(key.sign(unsigned.message))
    assert told.value.reason == "already_used"
    assert prepare(public_jwk=Key.generate("Ed25519").public_jwk, algorithm="Ed25519", method="POST", url=URL).digest is None
    private = json.loads(key.danger_private_jwk())
    with pytest.raises(Misuse) as told:
        prepare(public_jwk=private, algorithm="ES256", method="POST", url=URL)
    assert private["d"] not in str(told.value)


def test_keys_do_not_leave_their_process_by_themselves() -> None:
    key = Key.generate()
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(Misuse) as told:
            leave(key)
        assert told.value.reason == "not_picklable"
        with pytest.raises(TypeError):
            leave(key._native)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "{}",
        "[]",
        "not JSON",
        '{"kty":"oct","k":"AAAA"}',
        '{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA"}',
        json.dumps(Key.generate().public_jwk),
    ],
)
def test_what_is_no_private_key_is_refused(wrong: str) -> None:
    with pytest.raises(Misuse):
        Key.from_jwk(wrong)
    for read in (Key.from_pem, Key.from_der):
        with pytest.raises(Misuse):
            read(wrong.encode())  # type: ignore[operator]


def test_a_key_whose_public_part_is_anothers_is_refused() -> None:
    jwk, other = json.loads(Key.generate().danger_private_jwk()), Key.generate().public_jwk
    with pytest.raises(Misuse) as told:
        Key.from_jwk({**jwk, **other})
    assert jwk["d"] not in repr(told.value)
    with pytest.raises(Misuse):
        Key.generate("none")
    encrypted = PRIVATE["ES256"].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"a password")
    )
    with pytest.raises(Misuse):
        Key.from_pem(encrypted)


def test_an_algorithm_for_other_keys_is_refused() -> None:
    for read in (CryptographySigner, Key.from_cryptography):
        with pytest.raises(Misuse) as told:
            read(PRIVATE["ES256"], algorithm="ES384")
        assert told.value.reason == "key_unusable"
        assert "ES256" in told.value.detail


def test_post_quantum_keys_are_verified() -> None:
    assert {"ML-DSA-44", "ML-DSA-65"} <= set(ALL)
