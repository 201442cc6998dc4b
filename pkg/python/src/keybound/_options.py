"""Options whose wrong type Python would take for something else: a text for a list, any text for `True`."""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, TypeVar

from .errors import Misuse

__all__ = ["Headers", "check_known", "fields", "flag", "function", "having", "json_object", "json_of", "listed", "needed", "objects", "one", "scopes_of", "text", "texts", "told", "whole"]

T = TypeVar("T")

#: Header fields: a mapping, such as that of any HTTP library, or pairs, one for each field line.
Headers = Mapping[str, str] | Mapping[str, bytes] | Mapping[str, str | bytes] | Iterable[tuple[str, str | bytes]]

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
        raise Misuse("wrong_type", f"{option} is a list, and this is {told(value)}; write {option}=[…]")
    elements = list(value)
    for element in elements:
        if not isinstance(element, kind):
            named = "texts" if kind is str else "objects" if kind.__name__ == "Mapping" else kind.__name__
            raise Misuse("wrong_type", f"{option} is a list of {named}, and one of its elements is {told(element)}")
    return elements


def fields(headers: Headers | object) -> list[tuple[str, bytes]]:
    """One pair for each field line of headers. A mapping that knows repeated fields tells all of them."""
    items = getattr(headers, "multi_items", None) or getattr(headers, "items", None)
    given: Any = items() if callable(items) else headers
    try:
        if isinstance(given, (str, bytes)):
            raise TypeError
        return [(_latin(name).decode("latin-1"), _latin(value)) for name, value in given]
    except UnicodeEncodeError:
        raise Misuse("not_text", "a header field has a character that fields cannot have; encode it, or give bytes") from None
    except (TypeError, ValueError):
        detail = "headers are a mapping of names to values, or pairs of name and value; names are texts, values texts or bytes"
        raise Misuse("wrong_type", detail) from None


def _latin(given: object) -> bytes:
    if isinstance(given, bytes):
        return given
    if not isinstance(given, str):
        raise TypeError
    return given.encode("latin-1")


def json_of(argument: str, value: object, what: str = "texts, numbers, lists and dicts") -> str:
    """An argument as JSON. The error of `json` itself would name what it met, which may be a secret."""
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        raise Misuse("wrong_type", f"{argument} has to be what JSON can hold: {what}") from None


def json_object(arguments: Mapping[str, object], names: Mapping[str, str] | None = None) -> str:
    """Arguments as one JSON object. `names` are those of the caller, where they are others."""
    members = (f"{json.dumps(name)}: {json_of((names or {}).get(name, name), value)}" for name, value in arguments.items())
    return f"{{{', '.join(members)}}}"


def texts(option: str, value: object) -> list[str]:
    """The elements of an option that is a list of texts."""
    return listed(option, value, str)


def objects(option: str, value: object) -> list[Mapping[str, Any]]:
    """The elements of an option that is a list of JSON objects."""
    kind: type[Any] = Mapping
    return listed(option, value, kind)


def one(option: str, value: object, kind: type[T]) -> T | None:
    """An option that is an object of this package, or none."""
    return None if value is None else needed(option, value, kind, f"{option}={kind.__name__}(…)")


def needed(argument: str, value: object, kind: type[T], write: str) -> T:
    """An argument that is an object of `kind`; `write` shows how such an object is made.

    Asked by every function that takes one, so that a forgotten `await` and an object of another kind are told by the caller's own names.
    """
    if not isinstance(value, kind):
        raise Misuse("wrong_type", f"{argument} is {_named(kind)}, and this is {told(value)}{_rather(value, write)}")
    return value


def having(argument: str, value: object, kind: str, methods: Iterable[str], write: str) -> None:
    """Raises :class:`Misuse` for an argument that is not an object of the protocol `kind`, which has these methods."""
    lacking = [name for name in methods if isinstance(value, type) or not callable(getattr(value, name, None))]
    if lacking:
        without = "" if isinstance(value, (type, str, bytes)) or inspect.isawaitable(value) else f" without a method {lacking[0]}"
        raise Misuse("wrong_type", f"{argument} is {kind}, and this is {told(value)}{without}{_rather(value, write)}")


def told(value: object) -> str:
    """What a value is, for a message, which shows nothing of it. A coroutine ends here: Python need not warn of it as well."""
    if inspect.iscoroutine(value):
        value.close()
        return f"a coroutine; write await {value.__qualname__}(…)"
    if inspect.isawaitable(value):
        return f"{_named(type(value))}; write await before it"
    return f"the class {value.__name__}" if isinstance(value, type) else _named(type(value))


def _rather(value: object, write: str) -> str:
    """What to write instead, unless `await` is all that is missing."""
    return "" if inspect.isawaitable(value) else f"; write {write}"


def function(option: str, value: Any) -> Any:
    """An option that is a function, or none."""
    if value is not None and not callable(value):
        raise Misuse("wrong_type", f"{option} is a function, and this is {told(value)}")
    return value


def flag(option: str, value: object) -> bool:
    """An option that is `True` or `False`. The text "false" is true to Python."""
    if not isinstance(value, bool):
        raise Misuse("wrong_type", f"{option} is True or False, and this is {told(value)}")
    return value


def text(option: str, value: object) -> str | None:
    """An option that is a text, or none."""
    if value is not None and not isinstance(value, str):
        raise Misuse("wrong_type", f"{option} is a text, and this is {told(value)}{_joined(option, value)}")
    return value


def whole(option: str, value: object) -> int | None:
    """An option that is a whole number, or none."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise Misuse("wrong_type", f"{option} is a whole number, and this is {told(value)}")
    return value


def scopes_of(scopes: object) -> list[str]:
    """Scopes that are given one by one."""
    given = texts("scopes", scopes)
    for scope in given:
        if not scope or " " in scope:
            apart = ", ".join(repr(part) for part in scope.split()) or "'items:read'"
            raise Misuse("wrong_type", f"scopes are given one by one, without spaces; write require({apart})")
    return given


def _joined(option: str, value: object) -> str:
    """What to write for a list of scopes, which are no secrets."""
    if option != "scope" or not isinstance(value, (list, tuple, set, frozenset)) or not all(isinstance(scope, str) for scope in value):
        return ""
    return f'; write scope="{" ".join(value)}"'


def check_known(given: Iterable[str], known: Collection[str], elsewhere: Mapping[str, str] | None = None) -> None:
    """Raises :class:`Misuse` for an option that there is not, with the one that may be meant. `elsewhere` are other names of options."""
    for name in given:
        if name not in known:
            options = sorted(option for option in known if option != "self")
            same = (elsewhere or {}).get(name)
            near = [same] if same in options else difflib.get_close_matches(str(name), options, 1)
            told = f"; write {near[0]}=…" if near else f": there are {', '.join(options)}"
            raise Misuse("unknown_option", f"there is no option {name}{told}")


def _named(kind: type) -> str:
    """The name of a type with its article."""
    return f"{'an' if kind.__name__[:1].lower() in 'aeiou' else 'a'} {kind.__name__}"
