"""The OAuth 2.1 client for asyncio: what :class:`~keybound.Client` does, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ._async_drive import Awaiting, Threaded
from ._drive import Flow
from ._flows import ClientOptions, Flows, answered, device_of, native_of, subject_options
from ._loopback import Loopback
from ._options import Headers, check_known, function
from ._types import given
from .keys import Key, Signer
from .session import Authorization, DeviceLogin, Discovered, IssuedToken, Response, Session, SessionRequest, SubjectToken
from .transport import AsyncTransport, HttpResponse, sending

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AsyncClient"]

T = TypeVar("T")


class AsyncClient(Awaiting, Flows):
    """The same as :class:`Client`, awaited. Keys, storage and locks are used on other threads.

    Without a transport, requests are sent by the standard library on another thread.
    """

    def __init__(self, *, transport: AsyncTransport | None = None, **options: Unpack[ClientOptions]) -> None:
        """Raises :class:`~keybound.Misuse` for options that cannot be used."""
        check_known(options, (*ClientOptions.__annotations__, "transport"))
        sending(transport)
        super().__init__(**options)
        self._transport: AsyncTransport = transport or Threaded()

    async def discover(self, url: str, *, issuer: str | None = None) -> Discovered:
        """See :meth:`Client.discover`."""
        return await self.run(self._discover(url, issuer))

    async def discover_issuer(self, issuer: str) -> Discovered:
        """See :meth:`Client.discover_issuer`."""
        return await self.run(self._discover_issuer(issuer))

    async def authorize(self, request: SessionRequest) -> Authorization:
        """See :meth:`Client.authorize`."""
        return await self.run(self._authorize(request))

    async def exchange(self, callback: str) -> Session:
        """See :meth:`Client.exchange`."""
        return await self.run(self._session(self.flow({"do": "exchange", "callback": callback})))

    async def step_up(self, session: Session, scope: str) -> Authorization:
        """See :meth:`Client.step_up`."""
        return await self.run(self._step_up(session, scope))

    async def login(self, request: SessionRequest, *, browser: Callable[[str], object], timeout: float = 300.0) -> Session:
        """See :meth:`Client.login`."""
        function("browser", browser)
        with Loopback(self.redirect_uri) as listener:
            authorization = await self.authorize(request)
            listener.expect(authorization.state)
            browser(authorization.url)
            callback = await asyncio.to_thread(listener.wait, timeout)
        return await self.exchange(callback)

    async def device(self, request: SessionRequest, *, show: Callable[[DeviceLogin], object]) -> Session:
        """See :meth:`Client.device`."""
        function("show", show)
        device = await self.run(self._device(request))
        show(device)
        return await self.poll_device(device)

    async def poll_device(self, device: DeviceLogin) -> Session:
        """See :meth:`Client.poll_device`."""
        return await self.run(self._session(self.flow({"do": "poll_device"}, device=device_of(device))))

    async def client_credentials(self, request: SessionRequest) -> Session:
        """See :meth:`Client.client_credentials`."""
        return await self.run(self._session(self._asked("client_credentials", request)))

    async def token_exchange(self, request: SessionRequest, subject: SubjectToken) -> Session:
        """See :meth:`Client.token_exchange`."""
        return await self.run(self._session(self._asked("token_exchange", request, **subject_options(subject))))

    async def exchange_for(self, request: SessionRequest, subject: SubjectToken) -> IssuedToken:
        """See :meth:`Client.exchange_for`."""
        return await self.run(self._exchange_for(request, subject))

    async def jwt_bearer(self, request: SessionRequest, assertion: str) -> Session:
        """See :meth:`Client.jwt_bearer`."""
        return await self.run(self._session(self._asked("jwt_bearer", request, assertion=assertion)))

    async def open(self, name: str = "default", *, bound_to: str | None = None) -> Session:
        """See :meth:`Client.open`."""
        operation = {"do": "open", "session": name, **given(bound_to=bound_to)}
        return await self.run(self._session(self.flow(operation)))

    async def adopt(
        self, token: str, *, key: Key | Signer, resource: str, name: str = "adopted", expires_at: int | None = None
    ) -> Session:
        """See :meth:`Client.adopt`."""
        return await self.run(self._adopt(token, key, resource, name, expires_at))

    async def keep(self, session: Session) -> None:
        """Stores a provisional session, or the nonces that another one learned since it was stored."""
        await self.run(self._nothing(self.flow({"do": "keep"}, session=native_of(session))))

    async def refresh(self, session: Session) -> None:
        """See :meth:`Client.refresh`."""
        await self.run(self._nothing(self.flow({"do": "refresh"}, session=native_of(session))))

    async def rekey(self, session: Session) -> None:
        """See :meth:`Client.rekey`."""
        await self.run(self._nothing(self.flow({"do": "rekey"}, session=native_of(session))))

    async def revoke(self, session: Session) -> None:
        """See :meth:`Client.revoke`."""
        await self.run(self._nothing(self.flow({"do": "revoke"}, session=native_of(session))))

    async def end(self, session: Session) -> bool:
        """See :meth:`Client.end`."""
        return await self.run(self._ended(session))

    async def introspect(self, at: Discovered, token: str) -> dict[str, Any]:
        """See :meth:`Client.introspect`."""
        return await self.run(self._introspect(at, token))

    async def call(
        self,
        session: Session,
        url: str,
        *,
        method: str = "GET",
        headers: Headers = (),
        body: bytes | None = None,
    ) -> Response:
        """See :meth:`Client.call`."""
        kind, body = ("empty", None) if body is None else ("repeatable", bytes(body))
        kept: list[HttpResponse] = []
        flow = self.call_flow(session, method=method, url=url, headers=headers, body=kind)
        done = await self.run(flow, body=body, kept=kept)
        return answered(done, kept[-1] if kept else None)

    async def run(self, flow: Flow[T], *, body: bytes | None = None, kept: list[HttpResponse] | None = None) -> T:
        """See :meth:`Client.run`. A renewal that has begun is completed, also if the task is cancelled: its token is stored for the next call."""
        return await self._run(flow, body, kept)
