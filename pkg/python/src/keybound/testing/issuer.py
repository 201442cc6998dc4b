"""An authorization server as far as its signatures go."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from .. import _keybound
from .._options import json_of
from .._resource import Resource, profiled
from .._types import given
from ..errors import NATIVE, Misuse, reraise
from ..keys import Key
from ..policy import Policy
from ..principal import Principal
from ..resource import Incoming, ResourceServer
from ..stores import MemoryReplayStore
from ..transport import HttpRequest, HttpResponse
from . import applications
from .client import TestClient, origin_of
from .clock import TestClock
from .token import TestToken

__all__ = ["TestIssuer"]


class TestIssuer:
    """An authorization server as far as its signatures go: it has a key, and signs access tokens (RFC 9068) for one resource. It listens
    nowhere; :meth:`trusted_by` hands its keys to the application under test.
    """

    __test__ = False

    def __init__(self, resource: str, *, name: str = "https://issuer.example", clock: TestClock | None = None) -> None:
        """An issuer with a new key, whose tokens are for `resource`. `name` is its issuer identifier: one of those that the application
        trusts. Tokens are dated by `clock`."""
        parts = urlsplit(resource)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise Misuse("missing_option", "a resource is a URL; write TestIssuer('https://api.example.com')")
        self.resource = resource
        self.name = name
        self.clock = clock or TestClock()
        self.base = origin_of(resource)
        """What clients have in front of the path that the application receives."""
        self._key = Key.generate()
        # Servers remember keys by this name.
        self._key_id = secrets.token_hex(8)

    @classmethod
    def of(cls, application: Any, *, clock: TestClock | None = None) -> TestIssuer:
        """The issuer that an application names first, with the application's resource; see :meth:`trusted_by` for what an application is."""
        options = applications.options_of(application)
        issuers = profiled(options.get("issuers", ()))
        if not issuers:
            raise Misuse("missing_option", "this application names no issuers; write TestIssuer(resource, name=…)")
        issuer = cls(options["resource"], name=next(iter(issuers)), clock=clock)
        issuer.base = (options.get("origin") or issuer.base).rstrip("/") + (options.get("path_prefix") or "")
        return issuer

    @property
    def jwks(self) -> dict[str, Any]:
        """Its public keys, as an issuer serves them (RFC 7517 section 5)."""
        return {"keys": [{**self._key.public_jwk, "kid": self._key_id, "use": "sig", "alg": self._key.algorithm}]}

    @property
    def metadata(self) -> dict[str, Any]:
        """Its metadata (RFC 8414): where its keys are."""
        return {"issuer": self.name, "jwks_uri": f"{self.name.rstrip('/')}/jwks"}

    def token(self, token: TestToken) -> str:
        """Signs a token. It is bound to the key that it names, and to none if it names none."""
        told = given(
            issuer=self.name, audience=token.audience or self.resource, subject=token.subject, client_id=token.client_id, key_id=self._key_id,
            scopes=token.scopes, bound_to=token.bound_to, claims=dict(token.claims) or None,
        )  # fmt: skip
        try:
            return _keybound.access_token(json_of("claims", {**told, "lifetime": token.lifetime}), self._key._native, self.clock())
        except NATIVE as error:
            reraise(error)

    def client(self, token: TestToken) -> TestClient:
        """A client with a new key, and a token that is bound to it unless it names another key."""
        key = Key.generate()
        return TestClient(self, key, self.token(replace(token, bound_to=token.bound_to or key.thumbprint)))

    def stranger(self) -> TestClient:
        """A client without a token, whose requests have neither `Authorization` nor `DPoP`."""
        return TestClient(self, Key.generate(), None)

    def principal(self, token: TestToken) -> Principal:
        """The principal of a request with this token, for handlers that are called as functions. A server made for this one request admits it,
        so that it holds what a principal of production holds.

        Raises :class:`~keybound.Refused` if no request with this token is admitted: it is for another resource or key, or valid for no time.
        """
        server = ResourceServer(
            resource=self.resource, issuers=[self.name], policy=Policy(nonces=False), intents_at=["/"], store=self._store(Policy()),
            origin=origin_of(self.base), allow_loopback=True, clock=self.clock, transport=Published(self),
        )  # fmt: skip
        client = self.client(token)
        fields = client.sign("GET", f"{origin_of(self.base)}/")
        return server.authenticate(Incoming(method="GET", target=b"/", headers=[(name, value.encode()) for name, value in fields.items()]))

    @contextlib.contextmanager
    def trusted_by(self, *using: Any) -> Generator[TestIssuer, None, None]:
        """Lets applications trust this issuer while the block runs: they get its keys, and its metadata, without a network, and read its clock.
        A memory store begins anew.

        An application is one of Starlette, FastAPI or Flask that is protected, its middleware, its
        :class:`~keybound.ResourceServer` or :class:`~keybound.AsyncResourceServer`, or the settings of Django (`django.conf.settings`).
        """
        with contextlib.ExitStack() as stack:
            for application in using:
                if applications.is_settings(application):
                    stack.enter_context(applications.override(application, self._options_of_django(application)))
                for server in applications.servers(application):
                    stack.enter_context(self._lent(server))
            yield self

    def _options_of_django(self, settings: Any) -> dict[str, Any]:
        options = dict(settings.KEYBOUND)
        if isinstance(options.get("server"), Resource):
            return options
        own = {"transport": Published(self), "clock": self.clock}
        if not isinstance(options.get("store"), MemoryReplayStore) and options.get("store") is not None:
            return options | own
        # The store of the test is made with it.
        options.pop("danger_first_start", None)
        return options | own | {"store": self._store(options.get("policy") or Policy())}

    @contextlib.contextmanager
    def _lent(self, server: Any) -> Iterator[None]:
        names = ("_transport", "_clock", "_store", "_native", "_works")
        before = {name: getattr(server, name) for name in names}
        server._transport, server._clock = Published(self), self.clock
        if isinstance(server.store, MemoryReplayStore):
            server._store = self._store(server.policy)
        server._make()
        try:
            yield
        finally:
            for name, value in before.items():
                setattr(server, name, value)

    def _store(self, policy: Policy) -> MemoryReplayStore:
        # No earlier process served the resource of a test.
        return MemoryReplayStore(policy=policy, workers=1, danger_first_start=True, now=self.clock())

    def __repr__(self) -> str:
        return f"TestIssuer({self.resource!r}, name={self.name!r}, clock={self.clock!r})"


class Published:
    """Answers for an issuer with what it publishes, in place of a network, to servers that wait and to servers that await."""

    def __init__(self, issuer: TestIssuer) -> None:
        self._issuer = issuer

    def send(self, request: HttpRequest) -> _Answer:
        """The issuer's keys or metadata; 404 for anything else."""
        document = None
        if request.url == self._issuer.metadata["jwks_uri"]:
            document = self._issuer.jwks
        elif request.url in _keybound.issuer_metadata_places(self._issuer.name):
            document = self._issuer.metadata
        body = json.dumps(document).encode()
        return _Answer(status=404 if document is None else 200, headers=(("Content-Type", b"application/json"),), body=body)


class _Answer(HttpResponse):
    """An answer that can be awaited as well."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, _Answer]:
        return self
        yield
