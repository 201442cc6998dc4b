"""Django's test clients, whose requests are signed and have a raw target."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.test import AsyncClient, Client

from .client import TestClient

#: What stays as it is in a path that is given to a client.
AS_GIVEN = "/:@!$&'()*+,;=~%"


class Signing(Client):
    """The client of WSGI."""

    def __init__(self, client: TestClient, **options: Any) -> None:
        super().__init__(**options)
        self._signed_by = client

    def generic(self, method: str, path: Any, *args: Any, **extra: Any) -> Any:
        """Signs a request, and repeats it once with the nonce that is asked for."""
        target = _target(path)
        for _ in range(2):
            fields = {"HTTP_" + name.upper(): value for name, value in self._signed_by.sign(method, target).items()}
            response = super().generic(method, path, *args, **{**extra, **fields, "RAW_URI": target, "wsgi.multiprocess": False})
            if not self._signed_by.observe(target, response.status_code, _headers(response)):
                break
        return response


class SigningAsync(AsyncClient):
    """The client of ASGI."""

    def __init__(self, client: TestClient, **options: Any) -> None:
        super().__init__(**options)
        self._signed_by = client
        self._raw_path = b""

    async def generic(self, method: str, path: Any, *args: Any, **extra: Any) -> Any:
        """The same, awaited."""
        target = _target(path)
        for _ in range(2):
            # Taken by `request`, which is called at once.
            self._raw_path = target.encode("ascii")
            fields = self._signed_by.sign(method, target)
            response = await super().generic(method, path, *args, **{**extra, **fields})
            if not self._signed_by.observe(target, response.status_code, _headers(response)):
                break
        return response

    def request(self, **scope: Any) -> Any:
        """Adds what servers tell of the target."""
        query = scope.get("query_string", "")
        scope["query_string"] = query if isinstance(query, bytes) else str(query).encode()
        return super().request(**scope, raw_path=self._raw_path)


def _target(path: Any) -> str:
    """The path as a server receives it."""
    forced = (settings.FORCE_SCRIPT_NAME or "").rstrip("/")
    return forced + (quote(urlsplit(str(path)).path, safe=AS_GIVEN) or "/")


def _headers(response: Any) -> list[tuple[str, bytes]]:
    return [(name, value.encode("latin-1")) for name, value in response.items()]
