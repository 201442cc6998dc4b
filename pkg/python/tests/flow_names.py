"""Requests as transcripts show them: decoded, and with names in braces in place of what is random."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import parse_qsl

import keybound
from keybound import HttpRequest

RANDOM = ("state", "code_challenge", "code_verifier")


def part(text: str, at: int) -> dict[str, Any]:
    """A decoded part of a JWT."""
    piece = text.split(".")[at]
    read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4)))
    return read


class Names:
    """The names of random values, in the order they were first seen."""

    def __init__(self) -> None:
        self._known: list[tuple[str, str]] = []

    def _next(self, kind: str) -> str:
        return f"{{{kind}-{sum(name.startswith(f'{{{kind}-') for _, name in self._known) + 1}}}"

    def key(self, thumbprint: str) -> None:
        """Gives a new key its name."""
        self._known.append((thumbprint, self._next("key")))

    def name(self, kind: str, value: str) -> str:
        """The name of a random value."""
        found = next((name for known, name in self._known if known == value), None)
        if found is None:
            found = self._next(kind)
            self._known.append((value, found))
        return found

    def hide(self, text: str) -> str:
        """The text with names in place of values."""
        for value, name in self._known:
            text = text.replace(value, name)
        return text

    def show(self, text: str, kind: str = "") -> str:
        """The text with values in place of names, of one kind or all."""
        for value, name in self._known:
            if name.startswith("{" + kind):
                text = text.replace(name, value)
        return text

    def form(self, text: str) -> dict[str, Any]:
        """The parameters of a form or query."""
        seen: dict[str, Any] = {}
        for name, value in parse_qsl(text, keep_blank_values=True, strict_parsing=True):
            assert name not in seen, f"{name} twice"
            if name in RANDOM:
                seen[name] = self.name(name, value)
            elif name == "client_assertion":
                claims = part(value, 1)
                claims["jti"] = self.name("assertion", claims["jti"])
                seen[name] = {"header": part(value, 0), "claims": claims}
            elif name == "authorization_details":
                seen[name] = json.loads(value)
            else:
                seen[name] = self.hide(value)
        return seen

    def request(self, request: HttpRequest, body: str | None) -> dict[str, Any]:
        """A request; `body` says what the caller's own one is."""
        seen: dict[str, Any] = {"method": request.method, "url": request.url, "fields": {}}
        token = next((value for name, value in request.headers if name.lower() == "authorization"), "")
        for name, value in request.headers:
            if name.lower() == "dpop":
                assert "proof" not in seen, "two proofs"
                seen["proof"] = self._proof(value, token.removeprefix("DPoP ") if token.startswith("DPoP ") else None)
            else:
                assert name.lower() not in seen["fields"], "a field twice"
                seen["fields"][name.lower()] = self.hide(value)
        if body in ("repeatable", "one_shot"):
            seen["body"] = body
        elif request.body is not None:
            text = request.body.decode()
            if seen["fields"].get("content-type") == "application/json":
                seen["json"] = json.loads(text)
            else:
                seen["form"] = self.form(text)
        return seen

    def _proof(self, text: str, token: str | None) -> dict[str, Any]:
        header, claims = part(text, 0), part(text, 1)
        hashed = None
        if token is not None:
            hashed = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
        assert claims.pop("ath", None) == hashed, "the hash of the token"
        jti = self.name("jti", claims.pop("jti"))
        return {"key": self.hide(keybound.thumbprint(header["jwk"])), "alg": header["alg"], "jti": jti, **claims}
