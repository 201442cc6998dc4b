"""Calls to protected APIs by httpx: token, proofs, nonces, retries and refresh are done for you.

    import httpx
    from keybound import Client, FileStore
    from keybound.httpx import DPoPAuth

    client = Client(store=FileStore("sessions"))
    session = client.open("work")
    with httpx.Client(auth=DPoPAuth(client, session)) as http:
        print(http.get("https://api.example.com/items").json())

The same object serves `httpx.AsyncClient`. The token goes to targets under the session's resource alone; redirects within the origin are
followed with new proofs, and one to elsewhere is the answer, as long as the client has `follow_redirects=False`, which is its default.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Generator, Iterator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Literal

import httpx

from ._async_drive import Driving
from ._drive import Finished, OwnBody, Pause, TakeLock
from ._locks import locked
from .client import AsyncClient, Client, Flow, Session
from .errors import FlowFailed, Misuse
from .keys import Key, Signer, thumbprint
from .sessions import MemoryStore
from .transport import HttpRequest, HttpResponse, NotSent

__all__ = ["AsyncHttpxTransport", "DPoPAuth", "HttpxTransport", "demand_of", "ignored_challenge_of"]

#: Where the demand of a refused answer is kept among a response's extensions.
DEMAND = "keybound.demand"
#: Where the reason is kept for which a malformed challenge was ignored.
IGNORED = "keybound.ignored_challenge"


class DPoPAuth(httpx.Auth):
    """Sends requests in a session: with its token and a fresh proof each, one more attempt where a nonce, a newer token or the server's
    clock makes the difference, and a refresh when it is time, once for all tasks and processes.

    A body that is a stream is sent once: what the server wants is found out by a `HEAD` request before.
    """

    def __init__(self, client: Client | AsyncClient, session: Session) -> None:
        """Requests go out in `session`, which `client` opened or logged in. An :class:`AsyncClient` serves `httpx.AsyncClient` alone."""
        self._client = client
        self._session = session

    @classmethod
    def for_token(
        cls,
        access_token: str,
        *,
        key: Key | Signer,
        resource: str,
        expires_at: int | None = None,
        allow_loopback: bool = False,
    ) -> DPoPAuth:
        """The same for a token that was obtained elsewhere, which is bound to `key`. It goes to targets under `resource` alone."""
        store = MemoryStore()
        store.add_key(key, thumbprint(key.public_jwk))
        client = Client(store=store, algorithms=[key.algorithm], allow_loopback=allow_loopback)
        session = client.adopt(access_token, key=key, resource=resource, expires_at=expires_at)
        return cls(client, session)

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Called by `httpx.Client`."""
        if isinstance(self._client, AsyncClient):
            raise Misuse("async_client", "an AsyncClient sends by httpx.AsyncClient; make a keybound.Client for httpx.Client")
        call = _Call(self._client, self._session, request)
        try:
            pause: Pause | None = call.begin()
            while pause is not None:
                if isinstance(pause, OwnBody):
                    pause = call.answered((yield call.attempt(pause)))
                    continue
                try:
                    answer = self._client._answer(pause)
                except Exception as failure:
                    pause = call.failed(failure)
                else:
                    pause = call.go_on(answer)
        finally:
            call.close()

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Called by `httpx.AsyncClient`. A renewal that has begun is completed, also if the task is cancelled."""
        call = _Call(self._client, self._session, request)
        driving = Driving(call.flow, self._answer)
        try:
            pause = await driving.begin()
            while isinstance(pause, OwnBody):
                answer = call.told((yield call.attempt(pause)))
                pause = await driving.go_on(answer)
            call.conclude(pause.result)
        finally:
            driving.close()

    async def _answer(self, pause: Pause) -> Any:
        if isinstance(self._client, AsyncClient):
            return await self._client._answer(pause)
        if isinstance(pause, TakeLock):
            return await locked(pause.store, pause.name, pause.lease)
        return await asyncio.to_thread(self._client._answer, pause)

    def __repr__(self) -> str:
        return f"DPoPAuth({self._session!r})"


def demand_of(response: httpx.Response) -> tuple[Literal["login", "step_up"], str | None] | None:
    """Whether a login, or a login for more scope (the second part), would help against this refusal."""
    demand = response.extensions.get(DEMAND)
    return None if demand is None else (demand["do"], demand.get("scope"))


def ignored_challenge_of(response: httpx.Response) -> str | None:
    """Why a malformed line of the answer's `WWW-Authenticate` was ignored, if one was; the other lines count."""
    ignored: str | None = response.extensions.get(IGNORED)
    return ignored


class HttpxTransport:
    """Sends the requests of a :class:`~keybound.Client` by httpx: its proxies, certificates and limits."""

    def __init__(self, client: httpx.Client | None = None) -> None:
        """Sends by `client`, which follows no redirects here. Its `auth`, `headers`, `params` and `cookies` are for its own requests alone."""
        self._client = client or httpx.Client(cookies=_no_cookies())

    def send(self, request: HttpRequest) -> HttpResponse:
        """Sends one request. Raises `httpx.HTTPError`, `NotSent` where no connection was made, or `OSError` for an answer that is too long
        or slow."""
        reading = _Reading(request, self._client.headers)
        with _telling():
            response = self._client.send(reading.request, stream=True, auth=None, follow_redirects=False)
        with contextlib.closing(response):
            for chunk in response.iter_bytes() if reading.wants_body else ():
                reading.take(chunk)
        return reading.done(response)


class AsyncHttpxTransport:
    """The same for an :class:`~keybound.AsyncClient`."""

    def __init__(self, client: httpx.AsyncClient | None = None) -> None:
        """Sends by `client`, which follows no redirects here. Its `auth`, `headers`, `params` and `cookies` are for its own requests alone."""
        self._client = client or httpx.AsyncClient(cookies=_no_cookies())

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Sends one request. Raises `httpx.HTTPError`, `NotSent` where no connection was made, or `OSError` for an answer that is too long
        or slow."""
        reading = _Reading(request, self._client.headers)
        with _telling():
            response = await self._client.send(reading.request, stream=True, auth=None, follow_redirects=False)
        try:
            if reading.wants_body:
                async for chunk in response.aiter_bytes():
                    reading.take(chunk)
        finally:
            await response.aclose()
        return reading.done(response)


class _Call:
    """A request of the caller's on its way: the flow of the core, and the attempts it asks for."""

    def __init__(self, client: Client | AsyncClient, session: Session, request: httpx.Request) -> None:
        if "target" in request.extensions:
            detail = "the extension `target` sends a request to another target than its URL, which token and proof are for; put it into the URL"
            raise Misuse("request_target", detail)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        # What is looked at now is what every attempt sends, whatever becomes of the caller's request meanwhile.
        self._stream, self._extensions = request.stream, dict(request.extensions)
        self._sent: httpx.Request | None = None
        self._last: httpx.Response | None = None
        self.flow: Flow[Finished] = client.call_flow(
            session, method=request.method, url=str(request.url).partition("#")[0], headers=headers, body=_kind(request)
        )

    def begin(self) -> Pause | None:
        return self._step(lambda: next(self.flow))

    def go_on(self, answer: Any) -> Pause | None:
        return self._step(lambda: self.flow.send(answer))

    def failed(self, failure: Exception) -> Pause | None:
        return self._step(lambda: self.flow.throw(failure))

    def answered(self, response: httpx.Response) -> Pause | None:
        return self.go_on(self.told(response))

    def told(self, response: httpx.Response) -> HttpResponse:
        """The answer to the last attempt, as the flow reads it."""
        if response.request is not self._sent:
            raise Misuse(
                "redirects_followed",
                "httpx followed a redirect, without the token; leave follow_redirects at False, and redirects within the origin are "
                "followed here, with new proofs",
            )
        self._last = response
        headers = tuple((name.decode("latin-1"), value) for name, value in response.headers.raw)
        return HttpResponse(status=response.status_code, headers=headers)

    def close(self) -> None:
        self.flow.close()

    def attempt(self, pause: OwnBody) -> httpx.Request:
        """The request to send now."""
        wanted = pause.request
        stream = None if pause.body == "empty" else self._stream
        request = httpx.Request(wanted.method, wanted.url, stream=stream, extensions=self._extensions)
        request.headers = _Sealed(wanted.headers)
        self._sent = request
        return request

    def conclude(self, done: Finished) -> None:
        """Keeps what the last answer demands."""
        demand = done.result.get("demand")
        if demand is not None and demand["do"] == "resend":
            detail = "the server asks for the request once more, and its body was a stream; make it anew and send it again"
            raise FlowFailed("resend", detail)
        if demand is not None and self._last is not None:
            self._last.extensions[DEMAND] = demand
        if "ignored_challenge" in done.result and self._last is not None:
            self._last.extensions[IGNORED] = done.result["ignored_challenge"]

    def _step(self, step: Any) -> Pause | None:
        try:
            pause: Pause = step()
        except StopIteration as done:
            ended = done.value
        else:
            return pause
        self.conclude(ended)
        return None


class _Sealed(httpx.Headers):
    """Header fields of which token and proof are for one request: they do not go into a copy, such as the one made for a redirect."""

    def __init__(self, fields: tuple[tuple[str, str], ...]) -> None:
        secret = ("authorization", "dpop")
        super().__init__([(name.encode(), value.encode()) for name, value in fields if name.lower() not in secret])
        self._secret = [(name.encode(), value.encode()) for name, value in fields if name.lower() in secret]

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        """All fields: what transports send."""
        return [*super().raw, *self._secret]

    def __getitem__(self, key: str) -> str:
        found = [value.decode() for name, value in self._secret if name.decode().lower() == key.lower()]
        return found[0] if found else super().__getitem__(key)

    def __contains__(self, key: Any) -> bool:
        return super().__contains__(key) or any(name.decode().lower() == key.lower() for name, _ in self._secret)


@contextlib.contextmanager
def _telling() -> Iterator[None]:
    """Tells where no connection was made, and nothing sent: httpx has errors of its own for that."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as failure:
        raise NotSent(str(failure)) from failure


class _Reading:
    """A request of the package as httpx takes it, and its answer as it comes, within its bounds."""

    def __init__(self, request: HttpRequest, defaults: httpx.Headers) -> None:
        timeout = 60.0 if request.timeout is None else request.timeout
        self._limit, self._body, self._until = request.max_body, bytearray(), time.monotonic() + timeout
        # Made here and not by the client, which would add its own cookies and credentials: they may be another account's, and the request
        # goes to servers that they are not for.
        agent = [("User-Agent", defaults[name]) for name in ("User-Agent",) if name in defaults]
        self.request = httpx.Request(
            request.method,
            request.url,
            headers=[*agent, *request.headers],
            content=request.body,
            extensions={"timeout": httpx.Timeout(timeout).as_dict()},
        )

    @property
    def wants_body(self) -> bool:
        return self._limit != 0

    def take(self, chunk: bytes) -> None:
        self._body += chunk
        if self._limit is not None and len(self._body) > self._limit:
            raise OSError(f"the answer is longer than the {self._limit} bytes that are read")
        if time.monotonic() > self._until:
            raise TimeoutError("the answer took too long")

    def done(self, response: httpx.Response) -> HttpResponse:
        headers = tuple((name.decode("latin-1"), value) for name, value in response.headers.raw)
        return HttpResponse(status=response.status_code, headers=headers, body=bytes(self._body))


def _no_cookies() -> CookieJar:
    """A jar that takes nothing: what a server remembers one account by does not go along with another's requests."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


def _kind(request: httpx.Request) -> Literal["empty", "repeatable", "one_shot"]:
    try:
        return "repeatable" if request.content else "empty"
    except httpx.RequestNotRead:
        return "one_shot"
