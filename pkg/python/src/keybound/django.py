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
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve

from ._cors import crossed
from ._resource import check_server_options, log_refusal
from ._options import flag, scopes_of
from ._resource_app import (
    METADATA_FIELDS,
    OWN_OPTIONS,
    Public,
    Told,
    asgi_fields,
    check_process,
    completed,
    log,
    refuse_route,
    told_by_asgi,
    told_by_wsgi,
    wsgi_fields,
)
from .errors import Misuse, Refused
from .resource import AsyncResourceServer, Incoming, Principal, Refusal, ResourceServer

__all__ = ["KeyboundMiddleware", "Principal", "require"]

Sync = Callable[[HttpRequest], HttpResponseBase]
Async = Callable[[HttpRequest], Awaitable[HttpResponseBase]]
View = TypeVar("View", bound=Callable[..., Any])


class KeyboundMiddleware:
    """Admits requests with a bound token and a fresh proof, and answers the others. Views find the principal as `request.principal`.

    The setting `KEYBOUND` has the options of :class:`ResourceServer` (of :class:`AsyncResourceServer` under ASGI) or `server`, one of
    these; `public`, the paths, decoded, behind the mount point, that need no token (`/health`, or `/static/*` for all below); `workers`, 1 where one process serves the
    project and that cannot be seen; and `danger_decoded_path`. The option `mount_path` is `FORCE_SCRIPT_NAME` unless it is given.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Sync | Async) -> None:
        """Made by Django. Raises :class:`Misuse` for settings that cannot be used."""
        own = f"{type(self).__module__}.{type(self).__qualname__}"
        if list(settings.MIDDLEWARE).count(own) > 1:
            raise Misuse("protected_twice", f"the setting MIDDLEWARE names {own} twice; name it once")
        options = _setting()
        public = options.pop("public", ())
        self._decoded = flag("danger_decoded_path", options.pop("danger_decoded_path", False))
        forced = (settings.FORCE_SCRIPT_NAME or "").rstrip("/")
        self.get_response = get_response
        self.is_async = inspect.iscoroutinefunction(get_response)
        kind: type[ResourceServer] | type[AsyncResourceServer] = AsyncResourceServer if self.is_async else ResourceServer
        server = options.pop("server", None)
        if server is None:
            if options.get("mount_path") is None:
                options["mount_path"] = forced
            server = kind(**options)
        elif options:
            raise Misuse("unknown_option", "the setting KEYBOUND has either a server or the options of one")
        if not isinstance(server, kind):
            raise Misuse("wrong_type", f"the setting KEYBOUND has a server; this project needs {kind.__name__}")
        if forced and server.mount_path != forced:
            raise Misuse(
                "mount_path_unusable",
                f"FORCE_SCRIPT_NAME mounts this project at {forced!r}, and mount_path is {server.mount_path!r}; write mount_path={forced!r}",
            )
        self.server: ResourceServer | AsyncResourceServer = server
        self._public = Public(public, server.mount_path)
        if self.is_async:
            inspect.markcoroutinefunction(self) if hasattr(inspect, "markcoroutinefunction") else _mark(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Handles one request."""
        if self.is_async:
            return self._cross_async(request)
        try:
            crossing = self._crossing(request)
        except Refused as preflight:
            return _response(preflight.refusal)
        return _set(self._handle(request), crossing)

    def _handle(self, request: HttpRequest) -> HttpResponseBase:
        given = self._given(request)
        if isinstance(given, HttpResponseBase):
            return given
        if given is not None:
            try:
                principal = cast(ResourceServer, self.server).authenticate(given)
            except Refused as refused:
                return _response(refused.refusal)
            request.principal = principal  # type: ignore[attr-defined]
        return _complete(request, cast(Sync, self.get_response)(request))

    async def _cross_async(self, request: HttpRequest) -> HttpResponseBase:
        try:
            crossing = self._crossing(request)
        except Refused as preflight:
            return _response(preflight.refusal)
        return _set(await self._handle_async(request), crossing)

    async def _handle_async(self, request: HttpRequest) -> HttpResponseBase:
        given = self._given(request)
        if isinstance(given, HttpResponseBase):
            return given
        if given is not None:
            try:
                principal = await cast(AsyncResourceServer, self.server).authenticate(given)
            except Refused as refused:
                return _response(refused.refusal)
            request.principal = principal  # type: ignore[attr-defined]
        return _complete(request, await cast(Async, self.get_response)(request))

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Answers for views whose principal lacks a scope."""
        if not isinstance(exception, Refused):
            return None
        log_refusal(exception.refusal, request.method or "", request.path.encode("utf-8", "replace"))
        return _response(exception.refusal)

    def _crossing(self, request: HttpRequest) -> tuple[tuple[str, str], ...]:
        return self.server.cross(method=request.method or "", headers=_fields(request))

    def _given(self, request: HttpRequest) -> Incoming | HttpResponseBase | None:
        """What the server is asked with; the answer, if it is one already; or nothing for public paths."""
        told = _told(request)
        if told.asks_for_metadata(self.server, request.method or ""):
            return HttpResponse(self.server.metadata(), headers=dict(METADATA_FIELDS))
        try:
            path = told.routed(self.server)
        except Refused as refused:
            return _response(refuse_route(self.server, refused, request.method or "", told))
        if path in self._public:
            return None
        try:
            # Django says `wsgi.multiprocess` under ASGI, too, whatever is the case.
            is_asgi = isinstance(request, ASGIRequest)
            check_process(self.server, {} if is_asgi else request.META)
            target = told.target(self._decoded)
        except Misuse as error:
            # So it is with every request: nothing about it is the peer's fault.
            log.error("%s", error)
            return HttpResponse(f"keybound: {error}\n", status=500, content_type="text/plain")
        fields = _fields(request)
        peer, route = request.META.get("REMOTE_ADDR"), _route(request) if self.server.is_audited else None
        return Incoming(method=request.method or "", target=target, headers=fields, peer=peer, route=route)


def require(*scopes: str) -> Callable[[View], View]:
    """Decorates a view, plain or asynchronous, that needs a token with all of `scopes`; others are answered 403."""
    scopes_of(scopes)

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


def _setting() -> dict[str, Any]:
    """The options in the setting `KEYBOUND`."""
    given = getattr(settings, "KEYBOUND", None)
    if not isinstance(given, Mapping) or not given:
        told = 'the setting KEYBOUND is a dict of options; write KEYBOUND = {"resource": "https://…", "issuers": ["https://…"]}'
        raise Misuse("wrong_type", told)
    check_server_options(given, *OWN_OPTIONS)
    return dict(given)


def _told(request: HttpRequest) -> Told:
    """What is told about the path. Django has replaced `SCRIPT_NAME` and `PATH_INFO` by decoded texts, and by `FORCE_SCRIPT_NAME`."""
    mount_path, path = str(request.META["SCRIPT_NAME"]).rstrip("/"), request.path_info
    if isinstance(request, ASGIRequest):
        # What a client states counts here although Django has its own: it is refused, not overlooked.
        return told_by_asgi(request.scope, mount_path=request.scope.get("root_path") or mount_path, path=path)
    return told_by_wsgi(request.META, mount_path=mount_path.encode("utf-8", "replace"), path=path.encode("utf-8", "replace"))


def _route(request: HttpRequest) -> str | None:
    """The template of the route, which Django looks up after its middleware."""
    try:
        return str(resolve(request.path_info, getattr(request, "urlconf", None)).route)
    except Resolver404:
        return None


def _principal(request: HttpRequest) -> Principal:
    principal = getattr(request, "principal", None)
    if not isinstance(principal, Principal):
        raise Misuse("not_protected", "this view asks for a principal; put KeyboundMiddleware into MIDDLEWARE")
    return principal


def _complete(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    principal = getattr(request, "principal", None)
    if isinstance(principal, Principal):
        return _set(response, completed(response.headers.keys(), principal.headers))
    return response


def _fields(request: HttpRequest) -> list[tuple[str, bytes]]:
    return asgi_fields(request.scope) if isinstance(request, ASGIRequest) else wsgi_fields(request.META)


def _set(response: HttpResponseBase, added: Iterable[tuple[str, str]]) -> HttpResponseBase:
    for name, value in crossed(response.headers.items(), added):
        response.headers[name] = value
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
