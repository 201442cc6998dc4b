"""The API without a socket: who may read and write notes, and who may not."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from api import app, notes
from keybound.testing import TestClient, TestIssuer, TestToken

IssuerOf = Callable[[Any], TestIssuer]


@pytest.fixture
def issuer(keybound_issuer: IssuerOf) -> Iterator[TestIssuer]:
    yield keybound_issuer(app)
    notes.clear()


@pytest.fixture
def alice(issuer: TestIssuer) -> TestClient:
    return issuer.client(TestToken("alice", scopes=["read", "write"]))


def test_notes_are_written_and_read(alice: TestClient) -> None:
    http = alice.starlette(app)
    assert http.post("/notes", json={"text": "bound"}).json() == {"notes": 1}
    assert http.get("/notes").json() == {"notes": ["alice: bound"], "you": "alice", "key": alice.thumbprint}


def test_a_reader_writes_nothing(issuer: TestIssuer) -> None:
    reader = issuer.client(TestToken("bob", scopes=["read"])).starlette(app)
    assert reader.post("/notes", json={"text": "no"}).status_code == 403
    assert reader.get("/notes").json()["notes"] == []


def test_a_thief_of_the_token_stays_outside(issuer: TestIssuer, alice: TestClient) -> None:
    for client in (alice.thief(), issuer.stranger()):
        assert client.starlette(app).get("/notes").status_code == 401


def test_a_token_ends(issuer: TestIssuer, alice: TestClient) -> None:
    http = alice.starlette(app)
    assert http.get("/notes").status_code == 200
    issuer.clock.advance(3600)
    assert http.get("/notes").status_code == 401


def test_the_documentation_is_public_and_shows_a_lock(issuer: TestIssuer) -> None:
    document = issuer.stranger().starlette(app).get("/openapi.json").json()
    assert document["paths"]["/notes"]["get"]["security"] == [{"DPoP token": [], "DPoP proof": []}]
