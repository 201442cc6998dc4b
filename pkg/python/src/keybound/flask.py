"""Protects Flask applications.

    from flask import Flask, g
    from keybound.flask import Keybound, require

    app = Flask(__name__)
    Keybound(app, resource="https://api.example.com", issuers=["https://as.example.com"])

    @app.get("/items")
    @require("items:read")
    def items() -> dict[str, str | None]:
        return {"hello": g.principal.subject}

Every request then needs an access token that is bound to a key, and a fresh proof made with that key (RFC 9449 section 7). What is
refused gets its answer before a view runs, and the metadata of the resource (RFC 9728) is served.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from flask import Flask, Response, g, request

from ._cors import crossed
from ._options import flag, needed, one, scopes_of
from ._resource import check_server_options, log_refusal
from ._resource_app import METADATA_FIELDS, OWN_OPTIONS, Public, check_process, completed, latin, log, refuse_route, told_by_wsgi, wsgi_fields
from .errors import Misuse, Refused
from .resource import Incoming, Principal, Refusal, ResourceOptions, ResourceServer
from .stores import ReplayStore
from .transport import Transport

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Keybound", "Principal", "require"]

P = ParamSpec("P")
R = TypeVar("R")


class Keybound:
    """Admits requests with a bound token and a fresh proof, and answers the others. Views find the principal as `g.principal`."""

    def __init__(
        self,
        app: Flask | None = None,
        *,
        server: ResourceServer | None = None,
        store: ReplayStore | None = None,
        transport: Transport | None = None,
        public: Collection[str] = (),
        workers: int | None = None,
        danger_decoded_path: bool = False,
        **options: Unpack[ResourceOptions],
    ) -> None:
        """Protects `app`, or whatever :meth:`init_app` is given.

        `server` decides; without one, it is made of `options`: those of :class:`ResourceServer`. `public` lists the paths, decoded, behind
        the mount point, that need no token: `/health`, or `/static/*` for all below. `workers=1` says that one process serves the application, where that cannot
        be seen.

        Raises :class:`Misuse` for options that cannot be used, and where several processes would each remember proofs for themselves.
        """
        check_server_options(options, *OWN_OPTIONS)
        if server is not None and (options or store is not None or transport is not None or workers is not None):
            raise Misuse("unknown_option", "give either a server or the options of one")
        if server is None:
            server = ResourceServer(store=store, transport=transport, workers=workers, **options)
        one("server", server, ResourceServer)
        self.server = server
        self._public = Public(public, server.mount_path)
        self._decoded = flag("danger_decoded_path", danger_decoded_path)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Protects every route of `app`, static files included."""
        needed("app", app, Flask, "Keybound(app, …) with an application of Flask; keybound.fastapi and keybound.starlette are for those")
        if "keybound" in app.extensions:
            raise Misuse("protected_twice", "this application is protected already; make Keybound(app, …) once, with all options")
        app.extensions["keybound"] = self
        app.before_request(self._admit)
        app.after_request(_complete)
        app.register_error_handler(Refused, _refused)

    def _admit(self) -> Response | None:
        # Werkzeug routes by `request.path`, which begins with one slash, however many were received.
        try:
            g._keybound_crossing = self.server.cross(method=request.method, headers=wsgi_fields(request.environ))
        except Refused as preflight:
            return _response(preflight.refusal)
        told = told_by_wsgi(
            request.environ, mount_path=latin(request.environ.get("SCRIPT_NAME", "")), path=request.path.encode("utf-8", "replace")
        )
        if told.asks_for_metadata(self.server, request.method):
            return Response(self.server.metadata(), headers=list(METADATA_FIELDS))
        try:
            path = told.routed(self.server)
        except Refused as refused:
            return _response(refuse_route(self.server, refused, request.method, told))
        if path in self._public:
            return None
        try:
            check_process(self.server, request.environ)
            target = told.target(self._decoded)
        except Misuse as error:
            # So it is with every request: nothing about it is the peer's fault.
            log.error("%s", error)
            return Response(f"keybound: {error}\n", status=500, content_type="text/plain")
        try:
            peer = request.environ.get("REMOTE_ADDR")
            route = None if request.url_rule is None else request.url_rule.rule
            given = Incoming(method=request.method, target=target, headers=wsgi_fields(request.environ), peer=peer, route=route)
            g.principal = self.server.authenticate(given)
        except Refused as refused:
            return _response(refused.refusal)
        return None


def require(*scopes: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorates a view that needs a token with all of `scopes`; others are answered 403."""
    scopes_of(scopes)

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            principal = g.get("principal")
            if not isinstance(principal, Principal):
                raise Misuse("not_protected", "this view asks for a principal; make Keybound(app, …) first")
            principal.require(*scopes)
            return view(*args, **kwargs)

        return guarded

    return decorate


def _complete(response: Response) -> Response:
    principal = g.get("principal")
    if isinstance(principal, Principal):
        added = completed(response.headers.keys(), principal.headers)
        _set(response, crossed(response.headers, added))
    crossing = g.get("_keybound_crossing")
    if crossing:
        _set(response, crossed(response.headers, crossing))
    return response


def _set(response: Response, fields: Iterable[tuple[str, str]]) -> None:
    fields = list(fields)
    response.headers.clear()
    response.headers.extend(fields)


def _refused(refused: Refused) -> Response:
    log_refusal(refused.refusal, request.method, request.path.encode("utf-8", "replace"))
    return _response(refused.refusal)


def _response(refusal: Refusal) -> Response:
    # Flask's own default of a content type is not for an empty body.
    response = Response(refusal.body, status=refusal.status)
    response.headers.clear()
    response.headers.extend(refusal.headers)
    return response
