"""Options whose wrong type Python would take for something else: a text for a list, any text for `True`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, TypeVar

from .errors import Misuse

__all__ = ["check_known", "flag", "listed", "objects", "one", "public_paths", "text", "texts", "whole"]

T = TypeVar("T")

#: Options whose values a message may repeat. What is given to others by mistake may be a secret.
REPEATED: Final = ("algorithms", "also_origins", "audiences", "intents_at", "issuers", "public", "scopes", "token_algorithms")

#: What an exact, decoded path never has, and what that is.
NEVER_ROUTED: Final = (
    (re.compile(r"[?#]"), "a query or a fragment, which are no part of it"),
    (re.compile(r"[*{]"), "a pattern, and each path stands for itself alone"),
    (re.compile(r"//|/\.{1,2}(?:/|$)"), "an empty segment or one of dots, and such requests are refused"),
    (re.compile(r"%[0-9A-Fa-f]{2}"), "an encoded character, and paths are compared decoded"),
)


def listed(option: str, value: object, kind: type[T]) -> list[T]:
    """The elements of an option that is a list of `kind`; `None` is an empty one.

    A text is a list of its characters to Python: `public="/health"`, or `("/health")` without its comma, would open `/`, and
    `issuers="https://…"` would trust `h`. So is an object one of its names.
    """
    if value is None:
        return []
    if isinstance(value, (str, bytes)):
        repeated = repr(value) if option in REPEATED and isinstance(value, str) else "…"
        raise Misuse("wrong_type", f"{option} is a list, and this is one text; write {option}=[{repeated}]")
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise Misuse("wrong_type", f"{option} is a list, and this is one {type(value).__name__}; write {option}=[…]")
    elements = list(value)
    for element in elements:
        if not isinstance(element, kind):
            named = "texts" if kind is str else "objects" if kind.__name__ == "Mapping" else kind.__name__
            raise Misuse("wrong_type", f"{option} is a list of {named}, and one of its elements is {_named(type(element))}")
    return elements


def texts(option: str, value: object) -> list[str]:
    """The elements of an option that is a list of texts."""
    return listed(option, value, str)


def objects(option: str, value: object) -> list[Mapping[str, Any]]:
    """The elements of an option that is a list of JSON objects."""
    kind: type[Any] = Mapping
    return listed(option, value, kind)


def public_paths(value: object) -> frozenset[str]:
    """The paths that need no token. One that does not begin with a slash matches nothing, or is half of another."""
    paths = texts("public", value)
    for path in paths:
        if not path.startswith("/"):
            raise Misuse("public_path", f"an entry of public is a path and begins with a slash; write public=[{'/' + path!r}]")
        for never, what in NEVER_ROUTED:
            if never.search(path):
                raise Misuse("public_path", f"an entry of public is one exact path, decoded, and {path!r} matches none: it has {what}")
    return frozenset(paths)


def one(option: str, value: object, kind: type[T]) -> T | None:
    """An option that is an object of this package, or none."""
    if value is not None and not isinstance(value, kind):
        raise Misuse("wrong_type", f"{option} is {_named(kind)}, and this is {_named(type(value))}; write {option}={kind.__name__}(…)")
    return value


def flag(option: str, value: object) -> bool:
    """An option that is `True` or `False`. The text "false" is true to Python."""
    if not isinstance(value, bool):
        raise Misuse("wrong_type", f"{option} is True or False, and this is {_named(type(value))}")
    return value


def text(option: str, value: object) -> str | None:
    """An option that is a text, or none."""
    if value is not None and not isinstance(value, str):
        raise Misuse("wrong_type", f"{option} is a text, and this is {_named(type(value))}")
    return value


def whole(option: str, value: object) -> int | None:
    """An option that is a whole number, or none."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise Misuse("wrong_type", f"{option} is a whole number, and this is {_named(type(value))}")
    return value


def check_known(given: Iterable[str], known: Collection[str]) -> None:
    """Raises :class:`Misuse` for an option that there is not, with the one that may be meant."""
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(str(name), sorted(known), 1)
            told = f"; write {near[0]}=…" if near else f": there are {', '.join(sorted(known))}"
            raise Misuse("unknown_option", f"there is no option {name}{told}")


def _named(kind: type) -> str:
    """The name of a type with its article."""
    return f"{'an' if kind.__name__[:1].lower() in 'aeiou' else 'a'} {kind.__name__}"
