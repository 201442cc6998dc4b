"""A client that signs requests and repeats them with the nonce that the server asks for."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .._options import Headers, fields
from ..keys import Key
from ..proofs import NonceCache, proof
from ..responses import explain_response

if TYPE_CHECKING:
    from django.test import client as of_django
    import flask
    import flask.testing
    import httpx
    import httpx2
    import starlette.testclient
    from starlette.types import ASGIApp

    from .issuer import TestIssuer

__all__ = ["TestClient"]

Fields = dict[str, str]


class TestClient:
    """A client with a key and an access token. It remembers the nonces it is given, as real clients do.

    It sends nothing itself: :meth:`starlette`, :meth:`flask` and :meth:`django` give the framework's own test client, whose requests it signs.
    """

    __test__ = False

    def __init__(self, issuer: TestIssuer, key: Key, token: str | None) -> None:
        """A client of the issuer's resource and clock, with any key and any token: one that was issued for another key or by another issuer, for
        example. :meth:`TestIssuer.client` makes one whose token fits. Without a token, requests go out as they are."""
        self._issuer, self._key, self._token = issuer, key, token
        self._nonces = NonceCache()

    def thief(self) -> TestClient:
        """A client with this one's token, and a new key."""
        return TestClient(self._issuer, Key.generate(), self._token)

    @property
    def token(self) -> str | None:
        """The access token it sends."""
        return self._token

    @property
    def thumbprint(self) -> str:
        """The thumbprint of its key."""
        return self._key.thumbprint

    def sign(self, method: str, url: str) -> Fields:
        """The fields `Authorization` and `DPoP` of one request: the token, and a new proof with the server's last nonce.

        A `url` that is only a path (raw: `/a%2Fb`) is one of the resource's origin.
        """
        if self._token is None:
            return {}
        whole = self._whole(url)
        nonce = self._nonces.get(origin=origin_of(whole), role="resource", thumbprint=self.thumbprint)
        made = proof(key=self._key, method=method, url=whole, access_token=self._token, nonce=nonce, now=self._issuer.clock())
        return {"Authorization": f"DPoP {self._token}", "DPoP": made}

    def observe(self, url: str, status: int, headers: Headers) -> bool:
        """Keeps the nonce of a response, and says whether the response asks for another attempt with it (RFC 9449 section 9).

        `headers` are those of any HTTP library: a mapping, or pairs, one for each field line.
        """
        lines = fields(headers)
        values = [value for name, value in lines if name.lower() == "dpop-nonce"]
        self._nonces.observe(origin=origin_of(self._whole(url)), role="resource", thumbprint=self.thumbprint, values=values)
        return bool(explain_response(status=status, headers=lines, now=self._issuer.clock())["error"] == "use_dpop_nonce")

    def starlette(self, app: ASGIApp, **options: Any) -> starlette.testclient.TestClient:
        """Starlette's (and FastAPI's) `TestClient` of an application. `options` are its own; it follows redirects only if they say so."""
        from starlette.testclient import TestClient as OfStarlette

        made = OfStarlette(app, **{"base_url": origin_of(self._issuer.base), "follow_redirects": False, **options})
        made.auth = self.httpx2() if any(base.__module__.partition(".")[0] == "httpx2" for base in OfStarlette.__mro__) else self.httpx()  # type: ignore[assignment]
        return made

    def httpx(self) -> httpx.Auth:
        """What `auth=` of httpx takes, for `httpx.AsyncClient(transport=httpx.ASGITransport(app))` and others without a network."""
        import httpx

        class Auth(_Signing, httpx.Auth):
            pass

        return Auth(self)

    def httpx2(self) -> httpx2.Auth:
        """The same of httpx2."""
        import httpx2

        class Auth(_Signing, httpx2.Auth):
            pass

        return Auth(self)

    def flask(self, app: flask.Flask, **options: Any) -> flask.testing.FlaskClient:
        """Flask's test client of an application. `options` are those of `app.test_client`."""
        from ._flask import signing

        return signing(self, app, options)

    def django(self, **options: Any) -> of_django.Client:
        """Django's test client. It sends requests as of `https`; `options` are its own."""
        from ._django import Signing

        return Signing(self, **options)

    def django_async(self, **options: Any) -> of_django.AsyncClient:
        """Django's asynchronous test client, which takes the middleware's way of ASGI."""
        from ._django import SigningAsync

        return SigningAsync(self, **options)

    def _whole(self, url: str) -> str:
        return f"{self._issuer.base}{url}" if url.startswith("/") else url

    def __repr__(self) -> str:
        return f"TestClient({self._key!r})"


class _Signing:
    """Signs the requests of httpx or httpx2."""

    def __init__(self, client: TestClient) -> None:
        self._client = client

    def auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """Called by the library."""
        url = request.url.raw_path.decode("ascii")
        for _ in range(2):
            request.headers.update(self._client.sign(request.method, url))
            response = yield request
            headers = [(name.decode("latin-1"), value) for name, value in response.headers.raw]
            if not self._client.observe(url, response.status_code, headers):
                return


def origin_of(url: str) -> str:
    """The scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
