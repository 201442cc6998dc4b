"""Sessions in files: who can read them, who saves first, and processes that share them."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from flow_server import listening
from keybound import (
    Client,
    Credentials,
    FileStore,
    HostFailed,
    Key,
    KeyboundError,
    KeyFault,
    LockTimeout,
    LoginRequired,
    MemoryStore,
    Misuse,
    Protection,
    SessionRequest,
    Stored,
)

POSIX = pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
HERE = Path(__file__).parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keybound"


def modes(folder: Path) -> set[tuple[bool, str]]:
    paths = [folder, *folder.rglob("*")]
    return {(path.is_dir(), oct(stat.S_IMODE(path.stat().st_mode))) for path in paths}


@POSIX
def test_only_the_owner_can_read(folder: Path) -> None:
    before = os.umask(0)
    try:
        store = FileStore(folder)
        store.create_key(["ES256"], [Protection.SOFTWARE])
        for slot in ("session/work", "login/a-state", "registration/https://as.example.com"):
            assert store.save(slot, expected=None, version=1, value="a secret")
        with store.lock("session/work", 30):
            pass
    finally:
        os.umask(before)
    assert modes(folder) == {(True, "0o700"), (False, "0o600")}


@POSIX
def test_a_folder_that_others_can_read_is_refused(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    with pytest.raises(Misuse) as told:
        FileStore(folder)
    assert told.value.reason == "folder_readable"
    assert f"chmod 700 {folder}" in told.value.detail
    folder.chmod(0o700)
    assert FileStore(folder).sessions() == []


@POSIX
@pytest.mark.skipif(os.name == "posix" and os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("place", ["", "session", "key", "login", "lock"])
def test_a_folder_of_another_user_is_refused(folder: Path, place: str) -> None:
    FileStore(folder)
    owner = (folder / place).stat().st_uid
    os.chown(folder / place, owner + 1, -1)
    with pytest.raises(Misuse) as told:
        FileStore(folder)
    assert told.value.reason == "folder_foreign"
    assert f"user {owner + 1}" in told.value.detail and str(folder) in told.value.detail


@POSIX
@pytest.mark.parametrize("place", ["", "session", "key", "login", "lock"])
def test_a_folder_that_is_a_link_is_refused(folder: Path, place: str, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    if place:
        FileStore(folder)
        shutil.rmtree(folder / place)
    (folder / place).symlink_to(elsewhere)
    with pytest.raises(Misuse) as told:
        FileStore(folder)
    assert told.value.reason == "folder_linked" and str(elsewhere) in told.value.detail
    assert list(elsewhere.iterdir()) == []
    elsewhere.rmdir()
    with pytest.raises(Misuse):
        FileStore(folder)


@POSIX
def test_files_that_are_links_are_not_followed(folder: Path, tmp_path: Path) -> None:
    store, key = FileStore(folder), Key.generate()
    foreign = tmp_path / "foreign"
    foreign.write_bytes(b"keybound 1 1\nanother's")
    (folder / "session" / "work").symlink_to(foreign)
    for act in (lambda: store.load("session/work"), lambda: store.save("session/work", expected=None, version=1, value="x")):
        with pytest.raises(HostFailed, match="is a link"):
            act()
    foreign.write_text(key.danger_private_jwk())
    (folder / "key" / key.thumbprint).symlink_to(foreign)
    with pytest.raises(KeyFault) as told:
        store.signer(key.thumbprint)
    assert told.value.fault == "unreadable"
    (folder / "lock" / "session%2Fother").symlink_to(tmp_path / "made")
    with pytest.raises(HostFailed), store.lock("session/other", 1):
        pass
    assert not (tmp_path / "made").exists()


@POSIX
def test_folders_above_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        FileStore(tmp_path / "a" / "b" / "c")
    finally:
        os.umask(before)
    assert {oct(stat.S_IMODE(path.stat().st_mode)) for path in (tmp_path / "a", tmp_path / "a" / "b")} == {"0o700"}


def test_whoever_saves_first_wins(folder: Path) -> None:
    for store in (FileStore(folder), MemoryStore()):
        slot = "session/work"
        assert store.load(slot) is None
        assert store.save(slot, expected=None, version=1, value="one") is True
        assert store.save(slot, expected=None, version=1, value="another") is False
        assert store.save(slot, expected=7, version=8, value="another") is False
        assert store.save(slot, expected=1, version=2**53, value="two\nlines") is True
        assert store.load(slot) == Stored(2**53, "two\nlines")
        assert store.save(slot, expected=1, version=3, value=None) is False
        assert store.save(slot, expected=2**53, version=3, value=None) is True
        assert store.load(slot) is None
        assert store.save(slot, expected=3, version=4, value="three") is False


def test_threads_save_one_after_another(folder: Path) -> None:
    store, counts = FileStore(folder), list[int]()

    def count() -> None:
        saved = 0
        while saved < 10:
            stored = store.load("session/work")
            version = stored.version if stored else 0
            saved += store.save("session/work", expected=version or None, version=version + 1, value=str(version + 1))
        counts.append(saved)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert counts == [10] * 4
    assert store.load("session/work") == Stored(40, "40")


def test_names_of_all_kinds_are_kept_apart(folder: Path) -> None:
    store = FileStore(folder)
    names = ["work", "Work ", "../work", "a/b", "ä~.", "x" * 2000, "x" * 1999 + "y", ".", ".."]
    for number, name in enumerate(names):
        assert store.save(f"session/{name}", expected=None, version=1, value=str(number)), name
    for number, name in enumerate(names):
        assert store.load(f"session/{name}") == Stored(1, str(number))
    assert {"work", "a/b", "../work", "ä~."} <= set(store.sessions())
    assert sorted(path.name for path in folder.iterdir()) == ["attached", "elsewhere", "key", "lock", "login", "made", "registration", "session"]


def test_keys_that_cannot_be_used_are_told_apart(folder: Path) -> None:
    store = FileStore(folder)
    key = store.create_key(["Ed25519", "ES256"], [Protection.SOFTWARE, Protection.TEE])
    assert isinstance(key, Key) and key.algorithm == "ES256"
    assert store.signer(key.thumbprint).public_jwk == key.public_jwk
    other = Key.generate()
    path = folder / "key" / key.thumbprint
    for content, fault in ((other.danger_private_jwk(), "changed"), ("{", "unreadable"), (None, "missing")):
        path.unlink() if content is None else path.write_text(content)
        with pytest.raises(KeyFault) as told:
            store.signer(key.thumbprint)
        assert told.value.fault == fault
    store.delete_key(key.thumbprint)
    with pytest.raises(Misuse) as refused:
        store.create_key(["ES256"], [Protection.HSM])
    assert refused.value.reason == "key_protection"


@pytest.mark.parametrize("content", [b"", b"{}", b"keybound 1 \n{}", b"keybound 1 x\n{}", b"\xff\xfe", b"keybound 1 1\n\xff"])
def test_a_spoiled_file_is_set_aside_and_told_once(folder: Path, content: bytes) -> None:
    store = FileStore(folder)
    path, aside = folder / "session" / "default", folder / "session" / ".spoiled-default"
    path.write_bytes(content)
    with pytest.raises(KeyboundError, match="log in again") as told:
        Client(store=store).open()
    assert str(path) in str(told.value) and str(aside) in str(told.value)
    assert aside.read_bytes() == content, "what is not ours is not overwritten"
    with pytest.raises(LoginRequired):
        Client(store=store).open()
    assert store.save("session/default", expected=None, version=1, value="x")


@pytest.mark.parametrize("content", [b"keybound 2 1\n{}"])
def test_files_of_others_are_named(folder: Path, content: bytes) -> None:
    store = FileStore(folder)
    store.save("session/work", expected=None, version=1, value="a secret")
    path = folder / "session" / "work"
    path.write_bytes(content)
    for act in (lambda: store.load("session/work"), lambda: store.save("session/work", expected=None, version=1, value="x")):
        with pytest.raises(HostFailed, match="move it away") as told:
            act()
        assert str(path) in str(told.value)
    assert path.read_bytes() == content, "what is not ours is not overwritten"


def test_what_is_stored_but_is_no_session_asks_for_a_login(folder: Path) -> None:
    store = FileStore(folder)
    store.save("session/default", expected=None, version=1, value="{}")
    with pytest.raises(LoginRequired) as told:
        Client(store=store).open()
    assert told.value.reason == "stored_malformed" or told.value.reason == "stored_version"


def test_abandoned_logins_are_removed(folder: Path) -> None:
    store = FileStore(folder)
    for name in ("old", "new"):
        store.save(f"login/{name}", expected=None, version=1, value="a verifier")
    hours_ago = time.time() - 2 * 3600
    os.utime(folder / "login" / "old", (hours_ago, hours_ago))
    FileStore(folder)
    assert [path.name for path in (folder / "login").iterdir()] == ["new"]


LOCKING = """
import sys, time
from keybound import FileStore
store = FileStore(sys.argv[1])
with store.lock("session/work", 30):
    print("taken", flush=True)
    sys.stdin.readline()
"""


def test_a_lock_holds_between_processes_and_ends_with_them(folder: Path) -> None:
    store = FileStore(folder)
    for end in ("told", "killed"):
        command = [sys.executable, "-c", LOCKING, str(folder)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        got = threading.Event()

        def take(got: threading.Event = got) -> None:
            with store.lock("session/work", 30):
                got.set()

        thread = threading.Thread(target=take)
        thread.start()
        assert not got.wait(0.2)
        with store.lock("session/other", 30):
            pass
        if end == "told":
            process.communicate("\n", timeout=10)
        else:
            process.kill()
            process.communicate(timeout=10)
        assert got.wait(10)
        thread.join()


def test_whoever_waits_for_a_lock_gives_up_after_the_lease(folder: Path) -> None:
    for one, other in ((FileStore(folder), FileStore(folder)), (MemoryStore(),) * 2):
        with one.lock("session/work", 90):
            with pytest.raises(LockTimeout) as told, other.lock("session/work", 0):
                pytest.fail("two hold it")
            assert isinstance(told.value, HostFailed)
            assert told.value.reason == "lock_timeout" and "session/work" in told.value.detail
        with other.lock("session/work", 0):
            pass


def test_a_lock_held_by_another_process_is_not_waited_for_without_end(folder: Path) -> None:
    store = FileStore(folder)
    command = [sys.executable, "-c", LOCKING, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "taken\n"
    with pytest.raises(LockTimeout), store.lock("session/work", 0):
        pytest.fail("two hold it")
    process.communicate("\n", timeout=10)
    with store.lock("session/work", 10):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_that_was_forked_meanwhile_keeps_no_lock(folder: Path) -> None:
    store, (read, write) = FileStore(folder), os.pipe()
    with store.lock("session/work", 1):
        child = os.fork()
        if child == 0:
            os.close(write)
            os.read(read, 1)
            os._exit(0)
    try:
        with store.lock("session/work", 0):
            pass
    finally:
        os.close(write)
        os.close(read)
        os.waitpid(child, 0)


CALLING = """
import sys
from keybound import Client, Credentials, FileStore
folder, origin = sys.argv[1:]
client = Client(store=FileStore(folder), credentials=[Credentials(issuer=origin, client_id="app")], allow_loopback=True)
session = client.open("work")
print("open", flush=True)
sys.stdin.readline()
answers = [client.call(session, origin + "/api") for _ in range(3)]
print([answer.status for answer in answers], session.danger_access_token(), flush=True)
"""


def test_processes_that_share_a_session_renew_it_once(folder: Path) -> None:
    with listening() as server:
        client = Client(
            store=FileStore(folder),
            credentials=[Credentials(issuer=server.origin, client_id="app")],
            redirect_uri="http://127.0.0.1:7777/callback",
            allow_loopback=True,
        )
        request = SessionRequest(at=client.discover(server.api), name="work")
        client.exchange(server.login(client.authorize(request).url))
        command = [sys.executable, "-c", CALLING, str(folder), server.origin]
        running = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
        for process in running:
            assert process.stdout is not None and process.stdout.readline() == "open\n"
        server.end_token()
        for process in running:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        said = [process.communicate(timeout=60)[0] for process in running]
        assert said == ["[200, 200, 200] access-2\n"] * 4
        assert server.refreshed == 1
        assert client.open("work").danger_access_token() == "access-2"
