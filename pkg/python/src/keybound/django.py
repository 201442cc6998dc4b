"""Protects Django projects.

    # settings.py
    MIDDLEWARE = ["keybound.django.KeyboundMiddleware", ...]
    KEYBOUND = {"resource": "https://api.example.com", "issuers": ["https://as.example.com"]}

    # views.py
    from keybound.django import require

    @require("items:read")
    def items(request):
        return JsonResponse({"hello": request.principal.subject})

Every request then needs an access token that is bound to a key, and a fresh proof made with that key (RFC 9449 section 7). What is
refused gets its answer before a view runs, and the metadata of the resource (RFC 9728) is served. It works under WSGI and ASGI;
Django's own `runserver` knows decoded paths alone, which are refused.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from ._resource_app import (
    METADATA_FIELDS,
    asgi_fields,
    asgi_target,
    completed,
    log,
    check_process,
    wsgi_fields,
    wsgi_target,
)
from .errors import Misuse, Refused
from .resource import AsyncResourceServer, Principal, Refusal, ResourceServer

__all__ = ["KeyboundMiddleware", "Principal", "require"]

Sync = Callable[[HttpRequest], HttpResponseBase]
Async = Callable[[HttpRequest], Awaitable[HttpResponseBase]]
View = TypeVar("View", bound=Callable[..., Any])


class KeyboundMiddleware:
    """Admits requests with a bound token and a fresh proof, and answers the others. Views find the principal as `request.principal`.

    The setting `KEYBOUND` has the options of :class:`ResourceServer` (of :class:`AsyncResourceServer` under ASGI) or `server`, one of
    these; `public`, the paths, decoded and exact, that need no token; `workers`, in how many processes the project runs, where that
    cannot be seen; and `danger_decoded_path`.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Sync | Async) -> None:
        """Made by Django. Raises :class:`Misuse` for settings that cannot be used."""
        options: dict[str, Any] = dict(getattr(settings, "KEYBOUND", {}))
        self._public = frozenset(options.pop("public", ()))
        self._decoded = bool(options.pop("danger_decoded_path", False))
        self._workers: int | None = options.pop("workers", None)
        self.get_response = get_response
        self.is_async = inspect.iscoroutinefunction(get_response)
        kind: type[ResourceServer] | type[AsyncResourceServer] = AsyncResourceServer if self.is_async else ResourceServer
        self.server: ResourceServer | AsyncResourceServer = options.pop("server", None) or kind(workers=self._workers, **options)
        if not isinstance(self.server, kind):
            raise Misuse("wrong_type", f"the setting KEYBOUND has a server; this project needs {kind.__name__}")
        if self.is_async:
            inspect.markcoroutinefunction(self) if hasattr(inspect, "markcoroutinefunction") else _mark(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Handles one request."""
        if self.is_async:
            return self._handle_async(request)
        given = self._given(request)
        if isinstance(given, HttpResponseBase):
            return given
        if given is not None:
            try:
                principal = cast(ResourceServer, self.server).authenticate(**given)
            except Refused as refused:
                return _response(refused.refusal)
            request.principal = principal  # type: ignore[attr-defined]
        return _complete(request, cast(Sync, self.get_response)(request))

    async def _handle_async(self, request: HttpRequest) -> HttpResponseBase:
        given = self._given(request)
        if isinstance(given, HttpResponseBase):
            return given
        if given is not None:
            try:
                principal = await cast(AsyncResourceServer, self.server).authenticate(**given)
            except Refused as refused:
                return _response(refused.refusal)
            request.principal = principal  # type: ignore[attr-defined]
        return _complete(request, await cast(Async, self.get_response)(request))

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Answers for views whose principal lacks a scope."""
        return _response(exception.refusal) if isinstance(exception, Refused) else None

    def _given(self, request: HttpRequest) -> dict[str, Any] | HttpResponseBase | None:
        """What the server is asked with; the answer, if it is one already; or nothing for public paths."""
        if request.path in self._public:
            return None
        if request.method in ("GET", "HEAD") and request.path == self.server.metadata_path:
            return HttpResponse(self.server.metadata(), headers=dict(METADATA_FIELDS))
        try:
            # Django says `wsgi.multiprocess` under ASGI, too, whatever is the case.
            is_asgi = isinstance(request, ASGIRequest)
            check_process(self.server.store, self._workers, {} if is_asgi else request.META)
            if isinstance(request, ASGIRequest):
                target = asgi_target(request.scope, danger_decoded_path=self._decoded)
                fields = asgi_fields(request.scope)
            else:
                target = wsgi_target(request.META, danger_decoded_path=self._decoded)
                fields = wsgi_fields(request.META)
        except Misuse as error:
            # So it is with every request: nothing about it is the peer's fault.
            log.error("%s", error)
            return HttpResponse(f"keybound: {error}\n", status=500, content_type="text/plain")
        return {"method": request.method, "target": target, "headers": fields, "peer": request.META.get("REMOTE_ADDR")}


def require(*scopes: str) -> Callable[[View], View]:
    """Decorates a view, plain or asynchronous, that needs a token with all of `scopes`; others are answered 403."""

    def decorate(view: View) -> View:
        if inspect.iscoroutinefunction(view):

            @functools.wraps(view)
            async def guarded_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                _principal(request).require(*scopes)
                return await view(request, *args, **kwargs)

            return cast(View, guarded_async)

        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            _principal(request).require(*scopes)
            return view(request, *args, **kwargs)

        return cast(View, guarded)

    return decorate


def _principal(request: HttpRequest) -> Principal:
    principal = getattr(request, "principal", None)
    if not isinstance(principal, Principal):
        raise Misuse("not_protected", "this view asks for a principal; put KeyboundMiddleware into MIDDLEWARE")
    return principal


def _complete(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    principal = getattr(request, "principal", None)
    if isinstance(principal, Principal):
        for name, value in completed(response.headers.keys(), principal.headers):
            response.headers[name] = f"{response.headers[name]}, {value}" if name in response.headers else value
    return response


def _response(refusal: Refusal) -> HttpResponse:
    response = HttpResponse(refusal.body, status=refusal.status)
    del response.headers["Content-Type"]
    for name, value in refusal.headers:
        # Django keeps one value for a name; fields that are lists mean the same joined (RFC 9110 section 5.3).
        response.headers[name] = f"{response.headers[name]}, {value}" if name in response.headers else value
    return response


def _mark(middleware: KeyboundMiddleware) -> None:
    """Says that calling it gives an awaitable, before Python 3.12."""
    from asgiref.sync import markcoroutinefunction

    markcoroutinefunction(middleware)
