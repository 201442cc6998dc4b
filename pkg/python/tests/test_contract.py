"""What users rely on: the reasons that all languages share, and the names and signatures of this package.

`KEYBOUND_WRITE_API=1 pytest tests/test_contract.py` writes the list of names anew.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib.metadata
import inspect
import json
import os
import re
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import keybound
import keybound.redis
import keybound.testing
from keybound import _keybound
from vectors import CONTRACT, read

API = CONTRACT / "python_api.txt"
REPOSITORY = CONTRACT.parent.parent
#: Rows of the page that explains reasons: the reason, and the language where a row has one.
ROW = re.compile(r"^\| `(\w+)` \|(?: ((?:\w+, )*\w+) \|)?", re.M)


def test_reasons() -> None:
    told = json.loads(keybound.reasons())
    rejections = [{name: one[name] for name in ("reason", "check", "section")} for one in told["rejections"]]
    tokens = [{name: one[name] for name in ("reason", "status", "error")} for one in told["token_rejections"]]
    assert rejections == read("contract/reasons.json")
    assert tokens == read("contract/token_reasons.json")
    assert all(one["cause"] and one["fix"] for one in told["rejections"])


def test_every_reason_of_this_package_is_explained() -> None:
    """Those that its own code names; the core's are compared where they are listed."""
    explained = {reason for reason, _ in explanations()}
    sources = [path.read_text("utf-8") for path in Path(keybound.__file__).parent.rglob("*.py")]
    named = {reason for source in sources for reason in re.findall(r'\b(?:Misuse|HostFailed|FlowFailed)\(\s*"(\w+)"', source)}
    assert {"wrong_type", "network", "resend"} <= named
    assert named - explained == set()
    assert named - set(known(keybound.Reason)) == set()


def explanations() -> list[tuple[str, str]]:
    """Every reason that `docs/reasons.md` explains, and the languages it is of; none for those of the core."""
    return ROW.findall((REPOSITORY / "docs" / "reasons.md").read_text("utf-8"))


def own_reasons() -> list[str]:
    """Those that the core does not have, and this package does."""
    return [reason for reason, languages in explanations() if {"Python", "all"} & set(languages.split(", "))]


def known(alias: Any) -> Iterator[str]:
    """The words of a type alias."""
    for each in typing.get_args(alias):
        yield from [each] if isinstance(each, str) else known(each)


def reason_types() -> str:
    """The types of reasons as the package has them, from what every language reads."""
    faults, rejections = read("contract/faults.json"), read("contract/reasons.json")
    types = {
        "Rejection": ("Why a proof is refused.", [one["reason"] for one in rejections]),
        "CheckName": ("What a verifier looks at, in this order.", [one["check"] for one in rejections]),
        "TokenRejection": ("Why a token is refused, or a request without one.", [one["reason"] for one in read("contract/token_reasons.json")]),
        "IntentRejection": ("Why an intent does not permit a request, or was not granted as declared.", faults["intent"]),
        "OtherRejection": ("Why a request is refused that has neither a bad proof nor a bad token.", faults["refused"]),
        "FlowReason": ("Why a flow of the client ended without its result.", faults["flow"]),
        "MisuseReason": ("What is wrong with an argument or an option.", faults["misuse"]),
        "RedisReason": ("Why a Redis server is not used.", faults["redis"]),
        "HostReason": ("What failed in the program's surroundings.", faults["host"]),
        "OwnReason": ("What the core has not: the package's types, its frameworks, its runtime.", own_reasons()),
    }
    lines = ['"""The types of reasons. Written from tests/contract and docs/reasons.md: KEYBOUND_WRITE_API=1 pytest tests/test_contract.py."""', ""]
    lines += ["from typing import Literal, TypeAlias", ""]
    for name, (meaning, words) in types.items():
        lines += [f"#: {meaning}", f"{name}: TypeAlias = Literal[", *(f'    "{word}",' for word in dict.fromkeys(words)), "]"]
    return "\n".join(lines) + "\n"


def test_the_types_of_reasons_are_those_of_the_contract() -> None:
    place = REPOSITORY / "pkg" / "python" / "src" / "keybound" / "_reasons.py"
    if os.environ.get("KEYBOUND_WRITE_API") == "1":
        place.write_text(reason_types(), "utf-8")
    assert place.read_text("utf-8") == reason_types(), "KEYBOUND_WRITE_API=1 pytest tests/test_contract.py writes them"


def test_every_reason_is_one_that_type_checkers_know() -> None:
    """Those of the core, and those that the page has for this package."""
    lists = [*read("contract/faults.json").values(), (one["reason"] for one in read("contract/reasons.json") + read("contract/token_reasons.json"))]
    everywhere = {reason for words in lists for reason in words}
    assert {"replayed", "evicts", "not_text", "resend"} <= everywhere.union(own_reasons())
    assert set(known(keybound.Reason)) == everywhere.union(own_reasons())
    assert set(known(keybound.Rejection)) == {one["reason"] for one in json.loads(keybound.reasons())["rejections"]}


def test_the_native_module_has_the_rows_of_its_tables() -> None:
    """Those of `contract/native.txt`, with which the builds for JavaScript are compared as well."""
    text = (CONTRACT / "native.txt").read_text()
    tables = {name: rows.split("\n") for name, rows in re.findall(r"\[(\w+)\]\n((?:.+\n?)*?)(?=\[|\Z)", text)}
    rows = {row.split()[0].removeprefix(".") for name, rows in tables.items() if name != "folders" for row in rows if row}
    own = {"NativeError", "FileLock", "FileStore", "issuer_metadata_places", "verify_many"}
    found = set()
    for name, value in vars(_keybound).items():
        if inspect.isclass(value) and name not in own:
            found |= {f"{name}.{member}" for member in vars(value) if not member.startswith("_")}
        elif inspect.isbuiltin(value) and name not in own:
            found.add(name)
    assert found == {row for row in rows if not row.endswith(".new")}


def test_version() -> None:
    assert keybound.__version__ == importlib.metadata.version("keybound")


def test_everything_public_is_described() -> None:
    for module, name in [(module, name) for module in (keybound, keybound.redis, keybound.testing) for name in module.__all__]:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), name


def signature(of: Any) -> str:
    """A signature as it is written, without the quotes of annotations that were not evaluated."""
    return re.sub(r"""(: |-> )(['"])(.*?)\2""", r"\1\3", str(inspect.signature(of)))


def member(owner: type, name: str) -> str | None:
    """One line for a member of a class; none for what Python itself made."""
    home = next(base for base in owner.__mro__ if name in base.__dict__)
    if not home.__module__.startswith("keybound"):
        return None
    value = inspect.getattr_static(owner, name)
    if isinstance(value, property):
        assert value.fget is not None
        return f"{name}: {inspect.signature(value.fget).return_annotation}"
    kind = "classmethod " if isinstance(value, classmethod) else "staticmethod " if isinstance(value, staticmethod) else ""
    if isinstance(value, (classmethod, staticmethod)):
        value = value.__func__
    if inspect.isfunction(value):
        kind += "async " if inspect.iscoroutinefunction(value) else ""
        return f"{kind}{name}{signature(value)}"
    return None


def lines() -> Iterator[str]:
    """The public names, each with what can be relied on."""
    yield from described((name, getattr(keybound, name)) for name in keybound.__all__)
    for module in (keybound.redis, keybound.testing):
        yield f"[{module.__name__}]"
        yield from described((name, getattr(module, name)) for name in module.__all__)


def described(named: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """Each name with its members."""
    for name, value in named:
        if inspect.isfunction(value):
            yield f"{'async ' if inspect.iscoroutinefunction(value) else ''}{name}{signature(value)}"
        elif inspect.isclass(value):
            bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object and not base.__name__.startswith("_"))
            yield f"class {name}({bases})" if bases else f"class {name}"
            if issubclass(value, enum.Enum):
                yield from (f"    {each.name} = {each.value!r}" for each in value)
                continue
            if "__init__" in vars(value) and not getattr(value, "_is_protocol", False):
                yield f"    __init__{signature(value.__init__)}"
            if dataclasses.is_dataclass(value):
                yield from (f"    {each.name}: {each.type}" for each in dataclasses.fields(value) if not each.name.startswith("_"))
            members = (member(value, each) for each in dir(value) if not each.startswith("_"))
            yield from (f"    {each}" for each in members if each is not None)
        else:
            yield name


def test_the_public_api_is_as_it_was() -> None:
    now = "".join(f"{line}\n" for line in lines())
    assert " at 0x" not in now, "a default is shown by its address"
    if os.environ.get("KEYBOUND_WRITE_API") == "1":
        API.write_text(now)
    assert now == API.read_text(), "if this was meant: KEYBOUND_WRITE_API=1 pytest tests/test_contract.py"
