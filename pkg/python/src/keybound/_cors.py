"""Pages of other origins: the option `cors`, and what answers say to browsers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from ._arguments import made_by_name
from ._options import texts, whole

__all__ = ["Cors", "crossed"]

#: Fields whose values are lists, which grow.
LISTED: Final = ("vary", "access-control-expose-headers")


@made_by_name
@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """Lets pages of other origins call: their preflights are answered, and answers say who may read them.

    `origins` are compared exactly, and written as browsers send them in `Origin`: `https://app.example.com`, `http://localhost:5173`.
    `["*"]` stands for every origin. Cookies are never asked for: tokens and proofs are fields that a page sets itself.
    """

    origins: Sequence[str]
    methods: Sequence[str] | None = None
    """Instead of GET, HEAD, POST, PUT, PATCH and DELETE."""
    allowed_headers: Sequence[str] = ()
    """What pages may send besides `Authorization`, `DPoP` and `Content-Type`."""
    exposed_headers: Sequence[str] = ()
    """What scripts may read besides `WWW-Authenticate`, `DPoP-Nonce` and `Date`."""
    max_age: int | None = None
    """For how many seconds browsers remember the answer to a preflight: 600 otherwise, at most 86,400."""

    def __post_init__(self) -> None:
        for option in ("origins", "methods", "allowed_headers", "exposed_headers"):
            given = getattr(self, option)
            if given is not None:
                object.__setattr__(self, option, tuple(texts(option, given)))
        whole("max_age", self.max_age)

    def told(self) -> dict[str, Any]:
        """The option as the core reads it."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def crossed(headers: Iterable[tuple[str, str]], added: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The fields of an answer with those that are added: lists grow, so that what others expose stays exposed; the rest is replaced."""
    fields, more = list(headers), list(added)
    names = {name.lower() for name, _ in more}
    kept = [(name, value) for name, value in fields if name.lower() not in names]
    for name, value in more:
        present = [known for other, known in fields if other.lower() == name.lower()]
        kept.append((name, _union(present, value) if name.lower() in LISTED else value))
    return kept


def _union(present: Iterable[str], added: str) -> str:
    elements = [element.strip() for value in present for element in value.split(",")]
    known = {element.lower() for element in elements}
    return ", ".join([*filter(None, elements), *(element for element in added.split(", ") if element.lower() not in known)])
