"""Whose tokens they are, and what a request for a session says besides."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from flow_server import FakeServer
from keybound import AsyncClient, Client, FlowFailed, LoginRequired, MemoryStore, Misuse, SessionRequest, Subject
from test_client import Awaited, made, options

ALICE = "did:plc:alice"


def naming(**members: Any) -> FakeServer:
    server = FakeServer()
    server.members = members
    return server


def log_in(server: FakeServer, store: MemoryStore | None = None, **wanted: Any) -> Any:
    client = made(server, store)
    request = SessionRequest(at=client.discover(server.api), **wanted)
    return client, client.exchange(server.login(client.authorize(request).url))


def test_a_session_says_whose_it_is() -> None:
    server = naming(sub=ALICE, id_token="a.b.c", team={"id": "T"})
    client, session = log_in(server, expect_subject=ALICE)
    assert session.subject == Subject(server.origin, ALICE)
    assert (session.member("id_token"), session.member("team"), session.member("other")) == ("a.b.c", '{"id":"T"}', None)
    assert "a.b.c" not in repr(session) and "a.b.c" not in str(session._info())
    server.members = {"sub": "did:plc:mallory"}
    with pytest.raises(LoginRequired) as raised:
        client.refresh(session)
    assert raised.value.reason == "subject_mismatch"


def test_tokens_of_another_account_are_not_stored() -> None:
    store = MemoryStore()
    for members, kind, reason in (
        ({"sub": "did:plc:mallory"}, LoginRequired, "subject_mismatch"),
        ({}, FlowFailed, "answer_incomplete"),
    ):
        with pytest.raises(kind) as raised:
            log_in(naming(**members), store, expect_subject=ALICE)
        assert raised.value.reason == reason
        with pytest.raises(LoginRequired):
            made(FakeServer(), store).open()


def test_a_provisional_session_is_stored_when_it_is_kept() -> None:
    store = MemoryStore()
    client, session = log_in(naming(sub=ALICE), store, provisional=True)
    for unstored in (lambda: client.open(), lambda: log_in(naming(sub=ALICE), store, provisional=True)[0].open()):
        with pytest.raises(LoginRequired):
            unstored()
    with pytest.raises(Misuse):
        client.refresh(session)
    client.keep(session)
    assert client.open().subject == session.subject


def test_a_provisional_session_is_kept_by_an_asynchronous_client() -> None:
    async def main() -> None:
        server, store = naming(sub=ALICE), MemoryStore()
        client = AsyncClient(transport=Awaited(server), **options(server, store))
        request = SessionRequest(at=await client.discover(server.api), provisional=True)
        authorization = await client.authorize(request)
        assert authorization.pushed is False
        session = await client.exchange(server.login(authorization.url))
        await client.keep(session)
        assert (await client.open()).subject == Subject(server.origin, ALICE)

    asyncio.run(main())


def test_switches_reach_the_server() -> None:
    server = FakeServer()
    client = made(server)
    found = client.discover(server.api)
    wanted = SessionRequest(
        at=found, scope="read", without_resource=True, scope_on_refresh=True, without_pushed_request=True, danger_assume_pkce=True
    )
    url = client.authorize(wanted).url
    assert "resource" not in parse_qs(urlsplit(url).query)
    session = client.exchange(server.login(url))
    server.asked.clear()
    client.refresh(session)
    form = parse_qs((server.asked[-1].body or b"").decode())
    assert (form["scope"], form.get("resource")) == (["read"], None)


def test_a_tenant_is_a_guid() -> None:
    with pytest.raises(Misuse, match="GUID"):
        Client(entra_tenant="contoso.onmicrosoft.com")
