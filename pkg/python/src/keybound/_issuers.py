"""What is asked of authorization servers by a protected resource: where their keys are, and what a token is."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, urlsplit

from ._options import text, texts
from .errors import Misuse
from .transport import HttpRequest, HttpResponse

__all__ = ["Introspection", "IssuerProfile"]

#: What the access tokens of an issuer look like: as RFC 9068 says, or as these servers write them.
IssuerProfile = Literal["rfc9068", "keycloak", "auth0", "okta", "entra_id", "entra_id_v1", "duende", "cognito"]

#: The longest document that is read, in bytes.
MAX_DOCUMENT = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Introspection:
    """Asks the authorization server about tokens that are not JWTs (RFC 7662): its endpoint, and who asks.

    `profile` says how to read answers that name none of the issuers of the resource, for a server that has a profile of its own.
    """

    url: str
    client_id: str
    client_secret: str = field(repr=False)
    profile: IssuerProfile | None = None

    def __post_init__(self) -> None:
        text("profile", self.profile)
        for option in ("url", "client_id", "client_secret"):
            if text(option, getattr(self, option)) is None:
                raise Misuse("missing_option", f"an Introspection needs {option}")


def profiled(issuers: object) -> dict[str, str | None]:
    """The issuers of the option, each with the name of its profile; `None` is that of RFC 9068."""
    if not isinstance(issuers, Mapping):
        return dict.fromkeys(texts("issuers", issuers))
    for issuer, profile in issuers.items():
        if not isinstance(issuer, str) or not isinstance(profile, str):
            raise Misuse("wrong_type", 'issuers with profiles are texts; write issuers={"https://id.example.com": "keycloak"}')
    return dict(issuers)


def question(introspection: Introspection | None, token: str) -> HttpRequest:
    """An introspection request (RFC 7662 section 2.1). Both parts of the credentials are encoded as in a form (RFC 6749 section 2.3.1)."""
    assert introspection is not None
    client = f"{quote(introspection.client_id, safe='')}:{quote(introspection.client_secret, safe='')}"
    headers = (
        ("Accept", "application/json"),
        ("Authorization", "Basic " + base64.b64encode(client.encode()).decode()),
        ("Content-Type", "application/x-www-form-urlencoded"),
    )
    body = f"token={quote(token, safe='')}&token_type_hint=access_token".encode()
    url = introspection.url
    return HttpRequest(method="POST", url=url, headers=headers, body=body, max_body=MAX_DOCUMENT, timeout=10)


def answer(response: HttpResponse) -> bytes:
    """The body of an introspection answer, which the core reads (RFC 7662 section 2.2)."""
    if response.status != 200:
        raise OSError(f"introspection was answered with status {response.status}")
    return response.body


def name_of(token: str) -> bytes:
    """Names a token without holding it."""
    return hashlib.sha256(token.encode()).digest()


def checked_url(url: str, allow_loopback: bool) -> None:
    """Raises :class:`Misuse` unless a URL is `https`, or permitted on loopback."""
    parts = urlsplit(url)
    loopback = allow_loopback and parts.hostname in ("127.0.0.1", "::1", "localhost")
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
        raise Misuse("insecure_url", f"{url} is no https URL; for a server on this machine pass allow_loopback=True")


def metadata_urls(issuer: str) -> list[str]:
    """Where the metadata of an issuer may be (RFC 8414 section 3; OpenID Connect Discovery section 4)."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    base = f"{parts.scheme}://{parts.netloc}"
    return [
        f"{base}/.well-known/oauth-authorization-server{path}",
        f"{base}/.well-known/openid-configuration{path}",
        f"{base}{path}/.well-known/openid-configuration",
    ]


def document_at(url: str) -> HttpRequest:
    """A request for a JSON document."""
    return HttpRequest(method="GET", url=url, headers=(("Accept", "application/json"),), max_body=MAX_DOCUMENT, timeout=10)


def keys_url(issuer: str, response: HttpResponse, loopback: bool) -> str | None:
    """Where an issuer's metadata says its keys are; `None` if this is not its metadata."""
    if response.status != 200:
        return None
    try:
        document = json.loads(response.body)
    except ValueError:
        return None
    if not isinstance(document, dict) or document.get("issuer") != issuer or not isinstance(document.get("jwks_uri"), str):
        return None
    url: str = document["jwks_uri"]
    checked_url(url, loopback)
    return url
