"""The authorization server's endpoints: what tokens are bound to, and who is asked for a nonce."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from keybound import (
    AuthorizationServer,
    BindingMismatch,
    Grant,
    Insertion,
    Key,
    MemoryReplayStore,
    Misuse,
    NonceRequired,
    Nonces,
    Policy,
    ProofRejected,
    ReplayDetected,
    ReplayEntry,
    StoreUnavailable,
    proof,
)

AS = "https://as.example.com"


def test_the_authorization_server_binds_what_it_issues() -> None:
    policy = Policy(nonces=Nonces())
    store = MemoryReplayStore(policy=policy, now=int(time.time()) - 3600)
    server = AuthorizationServer(policy=policy)
    key, url = Key.generate(), f"{AS}/token"
    code = Grant(type="authorization_code", bound_to=key.thumbprint)
    common: dict[str, Any] = {"method": "POST", "url": url, "client": "public", "grant": code}
    text = proof(key=key, method="POST", url=url, nonce=server.fresh_nonce(epoch=store.epoch))
    admitted = server.admit(store=store, proof=text, **common)
    assert (admitted.access_binding, admitted.refresh_binding, admitted.token_type) == (key.thumbprint, key.thumbprint, "DPoP")
    with pytest.raises(ReplayDetected) as replayed:
        server.admit(store=store, proof=text, **common)
    assert replayed.value.refusal is not None and replayed.value.refusal.status == 400
    assert json.loads(replayed.value.refusal.body)["error"] == "invalid_dpop_proof"
    with pytest.raises(BindingMismatch):
        server.admit(store=store, proof=proof(key=Key.generate(), method="POST", url=url, nonce=server.fresh_nonce(epoch=store.epoch)), **common)
    without = server.admit(store=store, proof=None, **{**common, "grant": Grant(type="client_credentials"), "client": "confidential"})
    assert (without.access_binding, without.token_type) == (None, "Bearer")
    with pytest.raises(ProofRejected):
        server.check(proof=None, must_bind=True, **{**common, "grant": Grant(type="client_credentials")})
    admission = server.check(proof=proof(key=key, method="POST", url=url, nonce=server.fresh_nonce(epoch=store.epoch)), **common)
    with pytest.raises(Misuse):
        admission.admitted()
    assert admission.entry is not None and admission.settle(Insertion.FRESH).token_type == "DPoP"
    assert "ES256" in server.metadata(AS)["dpop_signing_alg_values_supported"]


def test_the_authorization_server_asks_for_nonces() -> None:
    policy = Policy(nonces=Nonces(), require_nonces=True)
    server = AuthorizationServer(policy=policy)
    with pytest.raises(NonceRequired) as told:
        text = proof(key=Key.generate(), method="POST", url=f"{AS}/token")
        grant = Grant(type="authorization_code")
        server.check(method="POST", url=f"{AS}/token", proof=text, client="public", grant=grant)
    assert told.value.refusal is not None and json.loads(told.value.refusal.body)["error"] == "use_dpop_nonce"
    assert "DPoP-Nonce" in dict(told.value.refusal.headers)


class Lost:
    """A store that notices by its insert that all was lost."""

    epoch = "1"

    def insert(self, entry: ReplayEntry, *, now: int) -> Insertion:
        if entry.nonce_epoch == "2":
            return Insertion.FRESH
        self.epoch = "2"
        return Insertion.BEFORE_FLOOR


def test_a_loss_noticed_by_the_insert_costs_one_challenge() -> None:
    server, store, key = AuthorizationServer(policy=Policy(nonces=Nonces())), Lost(), Key.generate()
    url = f"{AS}/token"
    common: dict[str, Any] = {"method": "POST", "url": url, "client": "public", "grant": Grant(type="authorization_code")}
    with pytest.raises(ProofRejected) as told:
        first = server.fresh_nonce(epoch=store.epoch)
        server.admit(store=store, proof=proof(key=key, method="POST", url=url, nonce=first), **common)
    assert told.value.refusal is not None
    nonce = dict(told.value.refusal.headers)["DPoP-Nonce"]
    admitted = server.admit(store=store, proof=proof(key=key, method="POST", url=url, nonce=nonce), **common)
    assert admitted.access_binding == key.thumbprint


def test_a_store_that_raises_is_answered_with_503() -> None:
    class Broken:
        """A store that cannot be reached."""

        epoch = "1"

        def insert(self, entry: ReplayEntry, *, now: int) -> Insertion:
            """Fails."""
            raise ConnectionError("refused")

    key, url = Key.generate(), f"{AS}/token"
    with pytest.raises(StoreUnavailable) as told:
        AuthorizationServer().admit(
            store=Broken(),
            method="POST",
            url=url,
            proof=proof(key=key, method="POST", url=url),
            client="public",
            grant=Grant(type="authorization_code", bound_to=key.thumbprint),
        )
    assert told.value.refusal is not None and told.value.refusal.status == 503
    assert isinstance(told.value.__cause__, ConnectionError)
