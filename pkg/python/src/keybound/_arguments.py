"""Unknown names of arguments: `Misuse` that says what to write, in place of Python's `TypeError`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

from ._options import check_known

__all__ = ["by_name", "made_by_name"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

#: What arguments are called elsewhere: in the claims of a proof, in headers and tokens, and in other libraries.
ELSEWHERE: Final = {
    "htm": "method",
    "htu": "url",
    "uri": "url",
    "iat": "now",
    "ath": "access_token",
    "token": "access_token",
    "jkt": "bound_to",
    "thumbprint": "bound_to",
    "nonce": "expected_nonce",
    "dpop": "proof",
    "private_key": "key",
    "signer": "key",
    "alg": "algorithm",
    "jwk": "public_jwk",
    "scopes": "scope",
}


def by_name(function: Callable[P, R]) -> Callable[P, R]:
    """A function whose unknown arguments are :class:`~keybound.Misuse`."""
    known = inspect.signature(function).parameters.keys()

    def check(given: dict[str, Any]) -> None:
        if not given.keys() <= known:
            check_known(given, known, ELSEWHERE)

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*args: Any, **given: Any) -> Any:
            check(given)
            return await function(*args, **given)

        return awaited  # type: ignore[return-value]

    @functools.wraps(function)
    def called(*args: P.args, **given: P.kwargs) -> R:
        check(given)
        return function(*args, **given)

    return called


def made_by_name(kind: type[T]) -> type[T]:
    """A dataclass whose unknown members are :class:`~keybound.Misuse`."""
    kind.__init__ = by_name(kind.__init__)  # type: ignore[method-assign]
    return kind
