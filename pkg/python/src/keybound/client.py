"""The OAuth 2.1 client: discovery, login, sessions and the requests they send (RFC 9449, RFC 8414, RFC 9728)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ._drive import Blocking, Flow
from ._flows import ClientOptions, Flows, answered, device_of, native_of, subject_options
from ._loopback import Loopback
from ._options import Headers, check_known, function
from ._types import given
from .async_client import AsyncClient
from .keys import Key, Signer
from .session import Authorization, DeviceLogin, Discovered, IssuedToken, Response, Session, SessionRequest, SubjectToken
from .transport import HttpResponse, StandardTransport, Transport, sending

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AsyncClient", "Client", "ClientOptions", "Flow", "Session"]

T = TypeVar("T")


class Client(Blocking, Flows):
    """An OAuth 2.1 client that blocks. All threads may use it; sessions that are stored are shared with other processes.

    `level` is the least protection that its sessions have. `redirect_uri` is where logins come back to. Clients that the server
    knows are given as `credentials`; else `metadata_document` (a URL) or `register` (metadata, RFC 7591) say who it is. `store` keeps
    keys and sessions, in memory otherwise. What weakens is called `danger_…`.
    """

    def __init__(self, *, transport: Transport | None = None, **options: Unpack[ClientOptions]) -> None:
        """Raises :class:`~keybound.Misuse` for options that cannot be used."""
        check_known(options, (*ClientOptions.__annotations__, "transport"))
        sending(transport)
        super().__init__(**options)
        self._transport: Transport = transport or StandardTransport()

    def discover(self, url: str, *, issuer: str | None = None) -> Discovered:
        """Finds out what protects `url`, from its answer to a request without a token.

        `issuer` is the authorization server's identifier, for a resource that publishes none; one that is published goes before.
        """
        return self.run(self._discover(url, issuer))

    def discover_issuer(self, issuer: str) -> Discovered:
        """Finds an authorization server by its issuer identifier alone."""
        return self.run(self._discover_issuer(issuer))

    def authorize(self, request: SessionRequest) -> Authorization:
        """Begins a login: bring the browser to the URL, and what it comes back to, to :meth:`exchange`."""
        return self.run(self._authorize(request))

    def exchange(self, callback: str) -> Session:
        """Completes a login with the URL that the browser came back to."""
        return self.run(self._session(self.flow({"do": "exchange", "callback": callback})))

    def step_up(self, session: Session, scope: str) -> Authorization:
        """Begins a login that asks for `scope` besides what the session has."""
        return self.run(self._step_up(session, scope))

    def login(self, request: SessionRequest, *, browser: Callable[[str], object], timeout: float = 300.0) -> Session:
        """Logs in with the user's browser: `browser` is given the URL to open, and the answer is received on loopback.

        The client's `redirect_uri` is a loopback URL with a port, for example `http://127.0.0.1:7777/callback`.
        """
        function("browser", browser)
        with Loopback(self.redirect_uri) as listener:
            authorization = self.authorize(request)
            listener.expect(authorization.state)
            browser(authorization.url)
            callback = listener.wait(timeout)
        return self.exchange(callback)

    def device(self, request: SessionRequest, *, show: Callable[[DeviceLogin], object]) -> Session:
        """Logs in on another device: `show` is given what the user has to see (RFC 8628)."""
        function("show", show)
        device = self.run(self._device(request))
        show(device)
        return self.poll_device(device)

    def poll_device(self, device: DeviceLogin) -> Session:
        """Waits until the user has decided."""
        return self.run(self._session(self.flow({"do": "poll_device"}, device=device_of(device))))

    def client_credentials(self, request: SessionRequest) -> Session:
        """A session in the client's own name (OAuth 2.1 section 4.2)."""
        return self.run(self._session(self._asked("client_credentials", request)))

    def token_exchange(self, request: SessionRequest, subject: SubjectToken) -> Session:
        """A session for a token that the client holds (RFC 8693)."""
        return self.run(self._session(self._asked("token_exchange", request, **subject_options(subject))))

    def exchange_for(self, request: SessionRequest, subject: SubjectToken) -> IssuedToken:
        """Exchanges a token for one that is no access token."""
        return self.run(self._exchange_for(request, subject))

    def jwt_bearer(self, request: SessionRequest, assertion: str) -> Session:
        """A session for an assertion that another server signed (RFC 7523 section 2.1)."""
        return self.run(self._session(self._asked("jwt_bearer", request, assertion=assertion)))

    def open(self, name: str = "default", *, bound_to: str | None = None) -> Session:
        """Opens a stored session. Raises :class:`~keybound.LoginRequired` if there is none that can be used."""
        operation = {"do": "open", "session": name, **given(bound_to=bound_to)}
        return self.run(self._session(self.flow(operation)))

    def adopt(
        self, token: str, *, key: Key | Signer, resource: str, name: str = "adopted", expires_at: int | None = None
    ) -> Session:
        """A session for a token that was obtained elsewhere, which is bound to `key`. Nobody can renew it, and nothing is stored.

        The store has to have the key: a :class:`~keybound.MemoryStore` is given it by its `add_key`.
        """
        return self.run(self._adopt(token, key, resource, name, expires_at))

    def keep(self, session: Session) -> None:
        """Stores a provisional session, or the nonces that another one learned since it was stored."""
        self.run(self._nothing(self.flow({"do": "keep"}, session=native_of(session))))

    def refresh(self, session: Session) -> None:
        """Gets a new access token, once among all tasks and processes that want one."""
        self.run(self._nothing(self.flow({"do": "refresh"}, session=native_of(session))))

    def rekey(self, session: Session) -> None:
        """Binds the session's tokens to a new key, which the store is asked for, and deletes the old one unless it is shared.

        For client credentials and for clients with a secret or key of their own. Does nothing if the store answers with the key that the
        session has. Raises :class:`Misuse` for a public client: its refresh token works with its key alone (RFC 9449 section 5), so log in
        again for a new key.
        """
        self.run(self._nothing(self.flow({"do": "rekey"}, session=native_of(session))))

    def revoke(self, session: Session) -> None:
        """Revokes the session's tokens at the server."""
        self.run(self._nothing(self.flow({"do": "revoke"}, session=native_of(session))))

    def end(self, session: Session) -> bool:
        """Revokes the session's tokens and deletes it and its key."""
        return self.run(self._ended(session))

    def introspect(self, at: Discovered, token: str) -> dict[str, Any]:
        """What the authorization server says of a token (RFC 7662)."""
        return self.run(self._introspect(at, token))

    def call(
        self,
        session: Session,
        url: str,
        *,
        method: str = "GET",
        headers: Headers = (),
        body: bytes | None = None,
    ) -> Response:
        """Sends a request with the session's token and a fresh proof. An answer with any status is no error.

        A nonce that is demanded, a token that has ended and a clock that is wrong are taken care of. A token goes to targets under
        the session's resource alone.
        """
        kind, body = ("empty", None) if body is None else ("repeatable", bytes(body))
        kept: list[HttpResponse] = []
        done = self.run(self.call_flow(session, method=method, url=url, headers=headers, body=kind), body=body, kept=kept)
        return answered(done, kept[-1] if kept else None)

    def run(self, flow: Flow[T], *, body: bytes | None = None, kept: list[HttpResponse] | None = None) -> T:
        """Drives any flow to its end. `kept` receives the answers to the caller's own request."""
        return self._run(flow, body, kept)
