"""Options whose wrong type Python would take for something else: a text for a list, any text for `True`."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, TypeVar

from .errors import Misuse

__all__ = ["check_known", "flag", "function", "listed", "objects", "one", "text", "texts", "whole"]

T = TypeVar("T")

#: Options whose values a message may repeat. What is given to others by mistake may be a secret.
REPEATED: Final = ("algorithms", "also_origins", "audiences", "intents_at", "issuers", "public", "scopes", "token_algorithms")

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


def one(option: str, value: object, kind: type[T]) -> T | None:
    """An option that is an object of this package, or none."""
    if value is not None and not isinstance(value, kind):
        raise Misuse("wrong_type", f"{option} is {_named(kind)}, and this is {_named(type(value))}; write {option}={kind.__name__}(…)")
    return value


def function(option: str, value: Any) -> Any:
    """An option that is a function, or none."""
    if value is not None and not callable(value):
        raise Misuse("wrong_type", f"{option} is a function, and this is {_named(type(value))}")
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
