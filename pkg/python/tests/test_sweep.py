"""What stores delete by themselves: forgotten logins with their keys, and keys that nothing names; and what they never delete."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flow_server import FakeServer
from keybound import Client, Credentials, FileStore, Key, KeyFault, LoginRequired, MemoryStore, Protection, Session, SessionRequest, SessionStore

HOUR = 3600


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keybound"


def client_of(server: FakeServer, store: SessionStore) -> Client:
    return Client(
        transport=server,
        store=store,
        credentials=[Credentials(issuer=server.origin, client_id="app")],
        redirect_uri="http://127.0.0.1:7777/callback",
    )


def begun(client: Client, server: FakeServer, name: str = "default") -> str:
    """A login that waits for its response: where the browser goes."""
    return client.authorize(SessionRequest(at=client.discover(server.api), name=name)).url


def logged_in(client: Client, server: FakeServer, name: str = "default") -> Session:
    return client.exchange(server.login(begun(client, server, name)))


def names(folder: Path, kind: str) -> set[str]:
    return {path.name for path in (folder / kind).iterdir()}


def aged(folder: Path, hours: float, *kinds: str) -> None:
    """Everything of these kinds was last changed this long ago."""
    at = time.time() - hours * HOUR
    for kind in kinds:
        for path in (folder / kind).iterdir():
            os.utime(path, (at, at))


def has(store: SessionStore, thumbprint: str) -> bool:
    try:
        store.signer(thumbprint)
    except KeyFault as fault:
        assert fault.fault == "missing"
        return False
    return True


def test_a_forgotten_login_takes_its_key_with_it(folder: Path) -> None:
    server, store = FakeServer(), FileStore(folder)
    client = client_of(server, store)
    begun(client, server)
    (forgotten,) = names(folder, "key")
    assert names(folder, "made") == {forgotten}
    aged(folder, 2, "login", "key")
    begun(client, server)
    assert len(names(folder, "login")) == 2
    FileStore(folder)
    assert len(names(folder, "login")) == 1 and len(names(folder, "key")) == 1
    assert forgotten not in names(folder, "key") | names(folder, "made")
    assert names(folder, "key") == names(folder, "made")


def test_a_key_that_nothing_names_is_found_and_removed(folder: Path) -> None:
    store = FileStore(folder)
    old = store.create_key(["ES256"], [Protection.SOFTWARE])
    aged(folder, 3, "key")
    new = store.create_key(["ES256"], [Protection.SOFTWARE])
    assert isinstance(old, Key) and isinstance(new, Key)
    other = FileStore(folder)
    assert not has(other, old.thumbprint) and has(other, new.thumbprint)
    assert names(folder, "key") == names(folder, "made") == {new.thumbprint}


def test_what_is_named_and_what_the_user_added_stays(folder: Path) -> None:
    server, store, own = FakeServer(), FileStore(folder), Key.generate()
    client = client_of(server, store)
    session = logged_in(client, server, "work")
    callback = server.login(begun(client, server, "other"))
    store.add_key(own)
    assert len(names(folder, "key")) == 3 and own.thumbprint not in names(folder, "made")
    aged(folder, 1000, "key", "made", "session")
    reopened = client_of(server, FileStore(folder))
    assert len(names(folder, "key")) == 3
    assert reopened.call(reopened.open("work"), server.api).status == 200
    assert reopened.exchange(callback).name == "other"
    # Ended, a session leaves nothing: neither key nor mark.
    reopened.end(reopened.open("work"))
    assert session.thumbprint not in names(folder, "key") | names(folder, "made")


def test_a_made_key_that_the_user_adds_is_the_users(folder: Path) -> None:
    store = FileStore(folder)
    key = store.create_key(["ES256"], [Protection.SOFTWARE])
    assert isinstance(key, Key)
    store.add_key(key)
    aged(folder, 1000, "key")
    assert has(FileStore(folder), key.thumbprint)


@pytest.mark.parametrize("content", [b"keybound 2 1\n{}", b"", b"keybound 1 99999999999999999999999\n{}", b"keybound 1 1\nnot json"])
def test_while_a_value_cannot_be_read_no_unnamed_key_is_removed(folder: Path, content: bytes) -> None:
    store = FileStore(folder)
    key = store.create_key(["ES256"], [Protection.SOFTWARE])
    assert isinstance(key, Key)
    (folder / "session" / "work").write_bytes(content)
    aged(folder, 1000, "key")
    assert has(FileStore(folder), key.thumbprint)
    (folder / "session" / "work").unlink()
    assert not has(FileStore(folder), key.thumbprint)


def test_what_broken_writes_left_is_removed(folder: Path) -> None:
    FileStore(folder)
    for kind in ("session", "login", "registration", "key", "made"):
        (folder / kind / ".new-abc").write_bytes(b"a secret")
    (folder / "made" / ("A" * 43)).touch()
    (folder / "made" / "of another program").touch()
    FileStore(folder)
    assert all(".new-abc" in names(folder, kind) for kind in ("session", "login", "registration", "key", "made"))
    assert "A" * 43 in names(folder, "made"), "its key may be written now"
    aged(folder, 2, "session", "login", "registration", "key", "made")
    FileStore(folder)
    assert all(names(folder, kind) == set() for kind in ("session", "login", "registration", "key", "made"))


def test_a_sweep_of_another_process_is_not_waited_for(folder: Path) -> None:
    store = FileStore(folder)
    key = store.create_key(["ES256"], [Protection.SOFTWARE])
    assert isinstance(key, Key)
    aged(folder, 1000, "key")
    with store.lock("sweep", 0):
        assert has(FileStore(folder), key.thumbprint)
    assert not has(FileStore(folder), key.thumbprint)


STORES: list[Callable[[Path], Any]] = [FileStore, lambda folder: MemoryStore()]


@pytest.mark.parametrize("make", STORES, ids=["files", "memory"])
def test_a_program_that_runs_for_long_sweeps_when_it_makes_keys(
    make: Callable[[Path], Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [time.time()]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    server, store, own = FakeServer(), make(folder), Key.generate()
    client = client_of(server, store)
    store.add_key(*([own] if isinstance(store, FileStore) else [own, own.thumbprint]))
    session = logged_in(client, server, "work")
    forgotten = begun(client, server, "forgotten")
    unnamed = store.create_key(["ES256"], [Protection.SOFTWARE])

    def held() -> int:
        return len(names(folder, "key")) if isinstance(store, FileStore) else len(store._keys)

    assert held() == 4
    clock[0] += 3 * HOUR
    server.lifetime = 24 * HOUR
    begun(client, server, "next")
    # The user's own, the session's and the next login's.
    assert held() == 3 and has(store, own.thumbprint) and has(store, session.thumbprint or "") and not has(store, unnamed.thumbprint)
    with pytest.raises(Exception) as told:
        client.exchange(server.login(forgotten))
    assert getattr(told.value, "reason", None) == "state_unknown"
    assert client.open("work").thumbprint == session.thumbprint
    client.end(client.open("work"))
    with pytest.raises(LoginRequired):
        client.open("work")
    assert held() == 2
