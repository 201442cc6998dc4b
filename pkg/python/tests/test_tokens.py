"""Tokens as real servers write them (`tests/vectors/tokens`): each by the profile of its issuer."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest

from flow_server import reply
from keybound import HttpRequest, HttpResponse, Incoming, Introspection, IssuerProfile, Misuse, Refused, ResourceServer
from vectors import TESTS, read

NAMES = sorted(path.stem for path in (TESTS / "vectors" / "tokens").glob("*.json"))
ASKS = Introspection(url="https://as.example.com/introspect", client_id="api", client_secret="secret")


class Network:
    """The metadata and keys of the issuer of a file, and the introspection answer of an entry."""

    def __init__(self, file: dict[str, Any]) -> None:
        self._file = file
        self.answer: Any = None

    def send(self, request: HttpRequest) -> HttpResponse:
        if request.method == "POST":
            return reply(200, self.answer)
        if request.url.endswith("/jwks"):
            return reply(200, self._file["keys"])
        return reply(200, {"issuer": self._file["issuer"], "jwks_uri": "https://keys.example.com/jwks"})


@pytest.mark.parametrize("name", NAMES)
def test_every_token_has_its_outcome(name: str) -> None:
    file = read(f"vectors/tokens/{name}.json")
    network = Network(file)

    def server(introspection: Introspection | None) -> ResourceServer:
        return ResourceServer(
            resource=file["resource"],
            issuers={file["issuer"]: file["profile"]},
            audiences=file["audiences"],
            schemes="dpop_and_bearer",
            introspection=introspection,
            transport=network,
            workers=1,
        )

    plain, introspecting = server(None), server(ASKS)
    for entry in file["entries"]:
        network.answer = entry["answer"]
        asked = plain if entry["answer"] is None else introspecting
        headers = [("Authorization", f"Bearer {entry['token']}".encode())]
        try:
            principal = asked.authenticate(Incoming(method="GET", target=b"/", headers=headers), now=file["now"])
        except Refused as refused:
            assert refused.reason == entry["rejection"], entry["id"]
        else:
            told = {"subject": principal.subject, "client_id": principal.client_id, "scopes": sorted(principal.scopes)}
            assert told == entry["principal"], entry["id"]


GUIDE = (TESTS.parent / "docs" / "issuers.md").read_text()


@pytest.mark.parametrize("code", re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL))
def test_the_snippets_about_issuers(code: str) -> None:
    made: dict[str, Any] = {}
    exec(code, made)
    with pytest.raises(Refused) as told:
        made["server"].authenticate(Incoming(method="GET", target=b"/", headers=[]))
    assert told.value.refusal.status == 401


def test_the_profiles_are_those_of_the_core() -> None:
    assert sorted(get_args(IssuerProfile)) == NAMES


@pytest.mark.parametrize("option", ["issuers", "introspection"])
def test_a_profile_that_there_is_not_stops_the_start_and_the_message_lists_those_there_are(option: str) -> None:
    wrong: Any = "keycloack"
    asks = Introspection(url=ASKS.url, client_id="api", client_secret="secret", profile=wrong)
    options: Any = {"issuers": {"https://id.example.com": wrong}} if option == "issuers" else {"introspection": asks}
    with pytest.raises(Misuse) as told:
        ResourceServer(resource="https://api.example.com", workers=1, **options)
    assert sorted(str(told.value).split("is one of: ")[1].split(", ")) == NAMES


@pytest.mark.parametrize("issuers", [{"https://id.example.com": None}, {1: "keycloak"}, {"https://id.example.com": ["keycloak"]}])
def test_issuers_with_profiles_are_texts(issuers: Any) -> None:
    with pytest.raises(Misuse, match='issuers={"https://id.example.com": "keycloak"}'):
        ResourceServer(resource="https://api.example.com", issuers=issuers, workers=1)
