"""Flask's test client, whose requests are signed."""

from __future__ import annotations

import io
from typing import Any

from flask import Flask
from flask.testing import EnvironBuilder, FlaskClient
from werkzeug.test import EnvironBuilder as AnyBuilder
from werkzeug.wrappers import Request

from .client import TestClient


def signing(client: TestClient, app: Flask, options: dict[str, Any]) -> FlaskClient:
    """A client of `app` as :meth:`flask.Flask.test_client` makes it."""
    kind = app.test_client_class or FlaskClient
    made: FlaskClient = type(kind.__name__, (_Signing, kind), {"signed_by": client})(app, app.response_class, **options)
    return made


class _Signing:
    signed_by: TestClient

    def open(self, *args: Any, **kwargs: Any) -> Any:
        """Signs a request, and repeats it once with the nonce that is asked for."""
        of_client = {name: kwargs.pop(name) for name in ("buffered", "follow_redirects") if name in kwargs}
        environ = self._environ(args, kwargs)
        method, body = environ["REQUEST_METHOD"], environ["wsgi.input"].read()
        # What servers tell of the target: the path as received, behind the root of the server.
        target = environ.get("SCRIPT_NAME", "") + environ["RAW_URI"]
        for attempt in range(2):
            fields = self.signed_by.sign(method, target)
            own = {**{f"HTTP_{name.upper()}": value for name, value in fields.items()}, "RAW_URI": target, "REQUEST_URI": target}
            request = Request({**environ, **own, "wsgi.input": io.BytesIO(body)})
            response = super().open(request, **of_client)  # type: ignore[misc]
            headers = [(name, value.encode("latin-1")) for name, value in response.headers]
            if not self.signed_by.observe(target, response.status_code, headers):
                break
        return response

    def _environ(self, args: Any, kwargs: Any) -> dict[str, Any]:
        if args and isinstance(args[0], dict):
            return args[0]
        if args and isinstance(args[0], Request):
            return args[0].environ
        if args and isinstance(args[0], AnyBuilder):
            return args[0].get_environ()
        environ_base = {**self.environ_base, **kwargs.pop("environ_base", {})}  # type: ignore[attr-defined]
        builder = EnvironBuilder(self.application, *args, environ_base=environ_base, **kwargs)  # type: ignore[attr-defined]
        try:
            return builder.get_environ()
        finally:
            builder.close()
