"""Options whose wrong type Python would take for something else: a text for a list, any text for `True`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from .errors import Misuse

__all__ = ["flag", "listed", "objects", "one", "public_paths", "texts"]

T = TypeVar("T")


def listed(option: str, value: object, kind: type[T]) -> list[T]:
    """The elements of an option that is a list of `kind`; `None` is an empty one.

    A text is a list of its characters to Python: `public="/health"`, or `("/health")` without its comma, would open `/`, and
    `issuers="https://…"` would trust `h`. So is an object one of its names.
    """
    if value is None:
        return []
    if isinstance(value, (str, bytes)):
        raise Misuse("wrong_type", f"{option} is a list, and this is one text; write {option}=[{value!r}]")
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise Misuse("wrong_type", f"{option} is a list, and this is one {type(value).__name__}; write {option}=[…]")
    elements = list(value)
    for element in elements:
        if not isinstance(element, kind):
            named = "texts" if kind is str else "objects" if kind.__name__ == "Mapping" else kind.__name__
            raise Misuse("wrong_type", f"{option} is a list of {named}, and one of its elements is a {type(element).__name__}")
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
    return frozenset(paths)


def one(option: str, value: object, kind: type[T]) -> T | None:
    """An option that is an object of this package, or none."""
    if value is not None and not isinstance(value, kind):
        raise Misuse("wrong_type", f"{option} is a {kind.__name__}, and this is a {type(value).__name__}; write {option}={kind.__name__}(…)")
    return value


def flag(option: str, value: object) -> bool:
    """An option that is `True` or `False`. The text "false" is true to Python."""
    if not isinstance(value, bool):
        raise Misuse("wrong_type", f"{option} is True or False, and this is a {type(value).__name__}")
    return value
