"""The folder that the stores of all languages read, and write byte for byte (``tests/vectors/files``)."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

from keybound import Client, Credentials, FileStore, Key, Protection, SecurityLevel, Stored

VECTORS = Path(__file__).parents[3] / "tests" / "vectors" / "files"
RECORDED = VECTORS / "folder"
CONTENTS: dict[str, Any] = json.loads((VECTORS / "contents.json").read_text(encoding="utf-8"))


def tree(folder: Path) -> dict[str, bytes]:
    """All files, by their names below the folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_written_is_what_is_recorded(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    store = FileStore(folder)
    for value in CONTENTS["values"]:
        assert store.save(value["slot"], expected=None, version=value["version"], value=value["value"])
    for key in CONTENTS["keys"]:
        store.add_key(Key.from_jwk(key["jwk"]))
    with store.lock(CONTENTS["lock"], 0):
        pass
    assert tree(folder) == tree(RECORDED)

    made = store.create_key(["ES256"], [Protection.SOFTWARE])
    assert isinstance(made, Key)
    written = (folder / "key" / made.thumbprint).read_text()
    assert Key.from_jwk(written).danger_private_jwk() == written == made.danger_private_jwk()
    assert (folder / "made" / made.thumbprint).read_bytes() == b""


def test_what_is_recorded_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    # Git keeps no modes: the store makes the folders.
    FileStore(folder)
    for name in tree(RECORDED):
        shutil.copyfile(RECORDED / name, folder / name)
    store = FileStore(folder)
    for value in CONTENTS["values"]:
        assert store.load(value["slot"]) == Stored(value["version"], value["value"])
    assert store.sessions() == CONTENTS["sessions"]
    for key in CONTENTS["keys"]:
        signer = store.signer(key["thumbprint"])
        assert isinstance(signer, Key) and signer.algorithm == key["algorithm"]
        signed = base64.urlsafe_b64encode(signer.sign(CONTENTS["message"].encode()).value).rstrip(b"=").decode()
        # Where the algorithm gives one message one signature.
        assert signed == key.get("signature", signed)
    client = Client(level=SecurityLevel.ENHANCED, credentials=[Credentials(issuer="https://as.example.com", client_id="app")], store=store)
    assert client.open("work").thumbprint == CONTENTS["keys"][0]["thumbprint"]
    assert tree(folder) == tree(RECORDED), "the sweep of opening left everything where it was"
