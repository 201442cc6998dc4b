"""An authorization server of the tests: metadata and keys on loopback, and tokens (RFC 9068) as a test wants them."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import threading
import time
from collections.abc import Iterator

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def encoded(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def access_token_hash(token: str) -> str:
    """The claim `ath` of proofs (RFC 9449 section 4.2)."""
    return encoded(hashlib.sha256(token.encode()).digest())


class TokenIssuer:
    """Signs access tokens with a key that it publishes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.fetched = 0
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def keys(self) -> dict[str, object]:
        """The JWK set."""
        numbers = self._key.public_key().public_numbers()
        x, y = (encoded(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        return {"keys": [{"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": "1", "alg": "ES256", "use": "sig"}]}

    def token(self, audience: str, thumbprint: str | None, scope: str = "read", *, kid: str = "1", **claims: object) -> str:
        """An access token for `audience`, bound to the key with this thumbprint; a claim that is None is left out."""
        now = int(time.time())
        all_claims: dict[str, object] = {
            "iss": self.url, "aud": audience, "sub": "alice", "client_id": "app", "scope": scope,
            "iat": now, "exp": now + 300, "jti": encoded(hashlib.sha256(str(time.time_ns()).encode()).digest()),
        }  # fmt: skip
        if thumbprint is not None:
            all_claims["cnf"] = {"jkt": thumbprint}
        all_claims |= claims
        present = {name: value for name, value in all_claims.items() if value is not None}
        header = {"alg": "ES256", "typ": "at+jwt", "kid": kid}
        message = ".".join(encoded(json.dumps(part).encode()) for part in (header, present))
        r, s = decode_dss_signature(self._key.sign(message.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{message}.{encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


@contextlib.contextmanager
def token_issuer() -> Iterator[TokenIssuer]:
    """A running one."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            documents = {
                "/.well-known/oauth-authorization-server": {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/jwks"},
                "/jwks": issuer.keys,
            }
            document = documents.get(self.path)
            if self.path == "/jwks":
                issuer.fetched += 1
            body = json.dumps(document).encode()
            self.send_response(404 if document is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = TokenIssuer(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
