"""Applications that admit every request."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

from ..principal import Principal
from ..resource import AsyncResourceServer, Incoming, ResourceServer
from . import applications

__all__ = ["danger_admit"]


@contextlib.contextmanager
def danger_admit(application: Any, principal: Principal) -> Iterator[None]:
    """Lets an application admit every request as one of `principal`, whatever it carries, while the block runs: for tests of routes whose
    subject is not their protection. :meth:`TestIssuer.principal` makes one. Scopes still count, and so do mount points.

    An application is what :meth:`TestIssuer.trusted_by` takes. It checks nothing: in production everyone would be this principal.
    """
    with contextlib.ExitStack() as stack:
        if applications.is_settings(application):
            stack.enter_context(_django(principal))
        for server in applications.servers(application):
            stack.enter_context(_admitting(server, principal))
        yield


@contextlib.contextmanager
def _admitting(server: ResourceServer | AsyncResourceServer, principal: Principal) -> Iterator[None]:
    def admit(incoming: Incoming, *, now: int | None = None) -> Principal:
        return principal

    async def admit_later(incoming: Incoming, *, now: int | None = None) -> Principal:
        return principal

    own: dict[str, Any] = vars(server)
    before = own.get("authenticate")
    own["authenticate"] = admit_later if inspect.iscoroutinefunction(type(server).authenticate) else admit
    try:
        yield
    finally:
        del own["authenticate"]
        if before is not None:
            own["authenticate"] = before


@contextlib.contextmanager
def _django(principal: Principal) -> Iterator[None]:
    """Has the handlers of Django, each of which makes a server, make servers that admit."""
    from .. import django

    class Admitting(ResourceServer):
        def authenticate(self, incoming: Incoming, *, now: int | None = None) -> Principal:
            return principal

    class AdmittingLater(AsyncResourceServer):
        async def authenticate(self, incoming: Incoming, *, now: int | None = None) -> Principal:
            return principal

    names: dict[str, Any] = vars(django)
    before = {name: names[name] for name in ("ResourceServer", "AsyncResourceServer")}
    names.update(ResourceServer=Admitting, AsyncResourceServer=AdmittingLater)
    try:
        yield
    finally:
        names.update(before)
