"""Libraries that others wrote, as makers of proofs that we judge, judges of ours, and clients of an application that we protect."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pydpop  # type: ignore[import-untyped]
import pytest
import requests
from loopback import PYTHON, Serve, free_port, program, running, serve
from pydpop.integrations.httpx import DPoPAuth as PydpopAuth  # type: ignore[import-untyped]
from requests_oauth2client import DPoPKey, DPoPToken, OAuth2Client
from requests_oauth2client.dpop import InvalidDPoPProof, validate_dpop_proof
from token_issuer import encoded

from keybound import (
    BindingMismatch,
    Key,
    MemoryReplayStore,
    Policy,
    Presented,
    ProofRejected,
    ReplayDetected,
    Verifier,
    proof,
)

URL = "https://api.example.com/items"
TOKEN = "t0ken"
ATH = encoded(hashlib.sha256(TOKEN.encode()).digest())
ALGORITHMS = ("ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512", "EdDSA")
POLICY = Policy(algorithms=ALGORITHMS)


@pytest.fixture
def judge() -> Verifier:
    return Verifier(policy=POLICY)


@pytest.fixture
def store() -> MemoryReplayStore:
    # It began long ago, so that it vouches for proofs made now.
    return MemoryReplayStore(policy=POLICY, now=int(time.time()) - 1000)


def judged(judge: Verifier, store: MemoryReplayStore, made: str, bound_to: str, url: str = URL) -> str:
    """The thumbprint of an accepted proof."""
    verified = judge.verify(Presented(proof=made, method="GET", url=url, access_token=TOKEN, bound_to=bound_to), store=store)
    return verified.thumbprint


def test_proofs_of_pydpop(judge: Verifier, store: MemoryReplayStore) -> None:
    key = pydpop.generate_key()
    thumbprint = pydpop.jwk_thumbprint(pydpop.public_jwk(key))
    made = pydpop.generate_proof(private_key=key, htm="GET", htu=URL + "?page=1", access_token=TOKEN)
    assert judged(judge, store, made, thumbprint) == thumbprint
    with pytest.raises(ReplayDetected):
        judged(judge, store, made, thumbprint)
    other = pydpop.generate_proof(private_key=key, htm="GET", htu=URL, access_token=TOKEN)
    with pytest.raises(BindingMismatch):
        judged(judge, store, other, Key.generate().thumbprint)
    with pytest.raises(ProofRejected) as refused:
        judged(judge, store, other, thumbprint, "https://api.example.com/other")
    assert refused.value.reason == "target_mismatch"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_proofs_of_requests_oauth2client(judge: Verifier, store: MemoryReplayStore, algorithm: str) -> None:
    key = DPoPKey.generate(alg=algorithm)
    made = str(key.proof(htm="GET", htu=URL, ath=ATH))
    assert judged(judge, store, made, key.dpop_jkt) == key.dpop_jkt
    with pytest.raises(ReplayDetected):
        judged(judge, store, made, key.dpop_jkt)
    without = str(key.proof(htm="GET", htu=URL))
    with pytest.raises(ProofRejected) as refused:
        judged(judge, store, without, key.dpop_jkt)
    assert refused.value.reason == "ath_missing"


def test_pydpop_judges_our_proofs() -> None:
    key = Key.generate()
    made = proof(key=key, method="GET", url=URL + "?page=1#top", access_token=TOKEN, nonce="n1")
    told = pydpop.verify_proof(proof=made, htm="GET", htu=URL, access_token=TOKEN, expected_nonce="n1")
    assert told["jwk_thumbprint"] == key.thumbprint
    for wrong in ({"htm": "POST"}, {"htu": URL + "/x"}, {"access_token": "other"}, {"expected_nonce": "n2"}):
        arguments = {"htm": "GET", "htu": URL, "access_token": TOKEN, "expected_nonce": "n1", **wrong}
        with pytest.raises(pydpop.DPoPError):
            pydpop.verify_proof(proof=made, **arguments)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_requests_oauth2client_judges_our_proofs(algorithm: str) -> None:
    if algorithm[:2] in ("PS", "RS"):
        from cryptography.hazmat.primitives.asymmetric import rsa

        from keybound import CryptographySigner

        private = rsa.generate_private_key(65537, 2048)
        made = proof(key=CryptographySigner(private, algorithm=algorithm), method="GET", url=URL, access_token=TOKEN)
    else:
        made = proof(key=Key.generate(algorithm), method="GET", url=URL, access_token=TOKEN)
    assert validate_dpop_proof(made, htm="GET", htu=URL, ath=ATH, algs=[algorithm]).jwt_token_id
    with pytest.raises(InvalidDPoPProof):
        validate_dpop_proof(made, htm="POST", htu=URL, ath=ATH, algs=[algorithm])


@pytest.fixture(scope="module")
def application() -> Iterator[tuple[Serve, str]]:
    """A FastAPI application that takes tokens of `keybound serve`."""
    if program() is None:
        pytest.skip("the program keybound is not built: cargo build -p keybound-cli")
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    apps = Path(__file__).parents[1] / "web" / "apps"
    command = [PYTHON, "-m", "uvicorn", "--log-level", "warning", "--port", str(port), "fastapi_app:app"]
    with serve("--resource", f"{origin}/api") as server:
        with running(command, port, env={"ISSUER": server.issuer, "ORIGIN": origin}, cwd=apps):
            yield server, f"{origin}/api"


def test_requests_oauth2client_calls_our_application(application: tuple[Serve, str]) -> None:
    server, api = application
    metadata = requests.get(f"{api.removesuffix('/api')}/.well-known/oauth-protected-resource/api", timeout=5).json()
    issuer = metadata["authorization_servers"][0]
    client = OAuth2Client.from_discovery_endpoint(
        f"{issuer}/.well-known/oauth-authorization-server",
        issuer=issuer,
        client_id=server.client_id,
        client_secret=server.client_secret,
        dpop_bound_access_tokens=True,
        testing=True,
    )
    token = client.client_credentials(scope="read", resource=api)
    assert isinstance(token, DPoPToken)
    for path in ("/items", "/items?page=2"):
        answer = requests.get(api + path, auth=token, timeout=5)
        assert (answer.status_code, answer.json()["thumbprint"]) == (200, token.dpop_key.dpop_jkt)
    refused = requests.post(f"{api}/write", auth=token, timeout=5)
    assert (refused.status_code, 'scope="write"' in refused.headers["WWW-Authenticate"]) == (403, True)
    stolen = requests.get(f"{api}/items", headers={"Authorization": f"Bearer {token.access_token}"}, timeout=5)
    assert stolen.status_code == 401


def test_pydpop_calls_our_application(application: tuple[Serve, str]) -> None:
    server, api = application
    key = pydpop.generate_key()
    grant = {
        "grant_type": "client_credentials",
        "client_id": server.client_id,
        "client_secret": server.client_secret,
        "resource": api,
    }
    with httpx.Client(auth=PydpopAuth(key)) as http:
        issued = http.post(f"{server.issuer}/token", data=grant).json()
    assert issued["token_type"] == "DPoP"
    token = issued["access_token"]
    with httpx.Client(auth=PydpopAuth(key, access_token=token), headers={"Authorization": f"DPoP {token}"}) as http:
        for _ in range(2):
            assert http.get(f"{api}/items").status_code == 200
    with httpx.Client(auth=PydpopAuth(pydpop.generate_key(), access_token=token)) as thief:
        assert thief.get(f"{api}/items", headers={"Authorization": f"DPoP {token}"}).status_code == 401
