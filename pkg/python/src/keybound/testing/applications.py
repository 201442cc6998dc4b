"""Which servers protect an application."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from .._resource import Resource
from ..errors import Misuse

__all__ = ["is_settings", "options_of", "override", "servers"]


def is_settings(application: Any) -> bool:
    """Whether this is the settings of Django, by which each of its handlers makes a server of its own."""
    return hasattr(application, "KEYBOUND") and "django" in sys.modules


def servers(application: Any) -> list[Any]:
    """The servers that protect an application, those of the applications that it mounts included."""
    if is_settings(application):
        server = application.KEYBOUND.get("server")
        return [] if server is None else [server]
    found = list(dict.fromkeys(_servers(application)))
    if not found:
        detail = f"this {type(application).__name__} is not protected by Keybound; give the application, its middleware, its server, or Django's settings"
        raise Misuse("not_protected", detail)
    return found


def options_of(application: Any) -> dict[str, Any]:
    """The options of the first of them."""
    if is_settings(application) and "server" not in application.KEYBOUND:
        options = dict(application.KEYBOUND)
        return {"path_prefix": None, **options}
    server: Resource = servers(application)[0]
    return server._options


@contextlib.contextmanager
def override(settings: Any, options: dict[str, Any]) -> Iterator[None]:
    """Gives Django other options while the block runs."""
    from django.test import override_settings

    with override_settings(KEYBOUND=options):
        yield


def _servers(application: Any) -> Iterator[Resource]:
    if isinstance(application, Resource):
        yield application
        return
    if isinstance(getattr(application, "server", None), Resource):
        yield application.server
    # Flask.
    extension = getattr(application, "extensions", None)
    if isinstance(extension, dict) and "keybound" in extension:
        yield from _servers(extension["keybound"])
    # Starlette makes its middleware at the first call, or here.
    if hasattr(application, "build_middleware_stack"):
        if application.middleware_stack is None:
            application.middleware_stack = application.build_middleware_stack()
        yield from _servers(application.middleware_stack)
        for route in application.routes:
            if getattr(route, "app", None) is not None and hasattr(route.app, "build_middleware_stack"):
                yield from _servers(route.app)
    elif hasattr(application, "app"):
        yield from _servers(application.app)
