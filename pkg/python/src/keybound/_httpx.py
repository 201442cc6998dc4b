"""What `keybound.httpx` and `keybound.httpx2` share: the two libraries have the same classes, and neither takes the other's.

Nothing here imports either. The library of a request is that of its class, and the modules of the package say which theirs is.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ._async_drive import Driving
from ._drive import Finished, OwnBody, Pause, TakeLock
from ._flows import native_of
from ._held import hold
from ._locks import locked
from ._options import needed
from .client import AsyncClient, Client, Flow, Session
from .errors import FlowFailed, Misuse
from .keys import Key, Signer
from .transport import HttpRequest, HttpResponse, NotSent, naming

if TYPE_CHECKING:
    from typing_extensions import Self

#: Where the demand of a refused answer is kept among a response's extensions.
DEMAND = "keybound.demand"
#: Where the reason is kept for which a malformed challenge was ignored.
IGNORED = "keybound.ignored_challenge"
#: The fields that are for one request alone, in lower case.
SECRET = ("authorization", "dpop")


class Auth:
    """What both classes `DPoPAuth` do."""

    _library: ModuleType

    def __init__(self, client: Client | AsyncClient, session: Session) -> None:
        """Requests go out in `session`, which `client` opened or logged in. An :class:`AsyncClient` serves the library's `AsyncClient` alone."""
        if not isinstance(client, AsyncClient):
            needed("client", client, Client, "DPoPAuth(client, session)")
        native_of(session)
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
    ) -> Self:
        """The same for a token that was obtained elsewhere, which is bound to `key`. It goes to targets under `resource` alone."""
        return cls(*hold(access_token, key=key, resource=resource, expires_at=expires_at, allow_loopback=allow_loopback))

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """Called by the library's `Client`."""
        if isinstance(self._client, AsyncClient):
            name = self._library.__name__
            raise Misuse("async_client", f"an AsyncClient sends by {name}.AsyncClient; make a keybound.Client for {name}.Client")
        call = _Call(self._library, self._client, self._session, request)
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

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Called by the library's `AsyncClient`. A renewal that has begun is completed, also if the task is cancelled."""
        call = _Call(self._library, self._client, self._session, request)
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


class Answered(Protocol):
    """A response of either library."""

    @property
    def extensions(self) -> Mapping[str, Any]:
        """What the library and this package say of it besides."""


def demand_of(response: Answered) -> tuple[Literal["login", "step_up"], str | None] | None:
    """Whether a login, or a login for more scope (the second part), would help against this refusal."""
    demand = response.extensions.get(DEMAND)
    return None if demand is None else (demand["do"], demand.get("scope"))


def ignored_challenge_of(response: Answered) -> str | None:
    """Why a malformed line of the answer's `WWW-Authenticate` was ignored, if one was; the other lines count."""
    ignored: str | None = response.extensions.get(IGNORED)
    return ignored


class BlockingTransport:
    """What both classes `HttpxTransport` do."""

    _library: ModuleType

    def __init__(self, client: Any = None) -> None:
        """Sends by `client`, which follows no redirects here. Its `auth`, `headers`, `params` and `cookies` are for its own requests alone."""
        self._client = client or self._library.Client(cookies=_no_cookies())

    def send(self, request: HttpRequest) -> HttpResponse:
        """Sends one request. Raises :class:`~keybound.HostFailed` from the library's `HTTPError`, or from an `OSError` for an answer that is
        too long or slow; `NotSent` where no connection was made."""
        with naming(request):
            return self._send(request)

    def _send(self, request: HttpRequest) -> HttpResponse:
        reading = _Reading(self._library, request, self._client.headers)
        with _telling(self._library):
            response = self._client.send(reading.request, stream=True, auth=None, follow_redirects=False)
        with contextlib.closing(response):
            for chunk in response.iter_bytes() if reading.wants_body else ():
                reading.take(chunk)
        return reading.done(response)


class AwaitedTransport:
    """What both classes `AsyncHttpxTransport` do."""

    _library: ModuleType

    def __init__(self, client: Any = None) -> None:
        """Sends by `client`, which follows no redirects here. Its `auth`, `headers`, `params` and `cookies` are for its own requests alone."""
        self._client = client or self._library.AsyncClient(cookies=_no_cookies())

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Sends one request. Raises :class:`~keybound.HostFailed` from the library's `HTTPError`, or from an `OSError` for an answer that is
        too long or slow; `NotSent` where no connection was made."""
        with naming(request):
            return await self._send(request)

    async def _send(self, request: HttpRequest) -> HttpResponse:
        reading = _Reading(self._library, request, self._client.headers)
        with _telling(self._library):
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

    def __init__(self, library: ModuleType, client: Client | AsyncClient, session: Session, request: Any) -> None:
        self._library = library
        if "target" in request.extensions:
            detail = "the extension `target` sends a request to another target than its URL, which token and proof are for; put it into the URL"
            raise Misuse("request_target", detail)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        # What is looked at now is what every attempt sends, whatever becomes of the caller's request meanwhile.
        self._stream, self._extensions = request.stream, dict(request.extensions)
        self._sent: Any = None
        self._last: Any = None
        self.flow: Flow[Finished] = client.call_flow(
            session, method=request.method, url=str(request.url).partition("#")[0], headers=headers, body=_kind(library, request)
        )

    def begin(self) -> Pause | None:
        return self._step(lambda: next(self.flow))

    def go_on(self, answer: Any) -> Pause | None:
        return self._step(lambda: self.flow.send(answer))

    def failed(self, failure: Exception) -> Pause | None:
        return self._step(lambda: self.flow.throw(failure))

    def answered(self, response: Any) -> Pause | None:
        return self.go_on(self.told(response))

    def told(self, response: Any) -> HttpResponse:
        """The answer to the last attempt, as the flow reads it."""
        if response.request is not self._sent:
            raise Misuse(
                "redirects_followed",
                f"{self._library.__name__} followed a redirect, without the token; leave follow_redirects at False, and redirects within the origin are "
                "followed here, with new proofs",
            )
        self._last = response
        headers = tuple((name.decode("latin-1"), value) for name, value in response.headers.raw)
        return HttpResponse(status=response.status_code, headers=headers)

    def close(self) -> None:
        self.flow.close()

    def attempt(self, pause: OwnBody) -> Any:
        """The request to send now."""
        wanted = pause.request
        stream = None if pause.body == "empty" else self._stream
        request = self._library.Request(wanted.method, wanted.url, stream=stream, extensions=self._extensions)
        request.headers = _sealed(self._library, wanted.headers)
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


class _Sealed:
    """Header fields of which token and proof are for one request. Everything that reads fields sees them, whatever the transport reads them
    by; a copy of the fields has neither.

    The library makes the request that follows a redirect from such a copy, and leaves the field `DPoP` in it whatever the target is. That a
    copy is made from `_list` is the library's own affair, so :func:`_sealed` looks at one copy before anything is sent.
    """

    _list: list[tuple[bytes, bytes, bytes]]
    _whole: Any

    @property
    def raw(self) -> Any:
        return self._whole.raw

    def keys(self) -> Any:
        return self._whole.keys()

    def values(self) -> Any:
        return self._whole.values()

    def items(self) -> Any:
        return self._whole.items()

    def multi_items(self) -> Any:
        return self._whole.multi_items()

    def get_list(self, key: str, split_commas: bool = False) -> Any:
        return self._whole.get_list(key, split_commas)

    def __getitem__(self, key: str) -> Any:
        return self._whole[key]

    def __contains__(self, key: Any) -> bool:
        return key in self._whole

    def __iter__(self) -> Iterator[Any]:
        return iter(self._whole)

    def __len__(self) -> int:
        return len(self._whole)

    def __eq__(self, other: object) -> bool:
        return bool(self._whole == (other._whole if isinstance(other, _Sealed) else other))

    __hash__ = None  # type: ignore[assignment]

    def __setitem__(self, key: str, value: str) -> None:
        self._whole[key] = value
        self._hide()

    def __delitem__(self, key: str) -> None:
        del self._whole[key]
        self._hide()

    def update(self, headers: Any = None) -> None:
        self._whole.update(headers)
        self._hide()

    def __repr__(self) -> str:
        """Shows neither token nor proof."""
        return repr(self.copy())  # type: ignore[attr-defined]

    def _hide(self) -> None:
        self._list = [field for field in self._whole._list if field[1] not in _SECRET_NAMES]


_SECRET_NAMES = tuple(name.encode() for name in SECRET)


@functools.cache
def _sealed_kind(headers: type) -> Any:
    return type(headers.__name__, (_Sealed, headers), {})


def _sealed(library: ModuleType, fields: Iterable[tuple[str, str]]) -> Any:
    """The fields of one attempt."""
    sealed = _sealed_kind(library.Headers)()
    sealed._whole = library.Headers([(name.encode(), value.encode()) for name, value in fields])
    sealed._hide()
    for copy in (library.Headers(sealed), sealed.copy()):
        if any(name.lower() in _SECRET_NAMES for name, _ in copy.raw):
            detail = f"this version of {library.__name__} would send token and proof to where it is redirected; take one that this package was tested with"
            raise Misuse("httpx_version", detail)
    return sealed


@contextlib.contextmanager
def _telling(library: ModuleType) -> Iterator[None]:
    """Tells where no connection was made, and nothing sent: the library has errors of its own for that."""
    try:
        yield
    except (library.ConnectError, library.ConnectTimeout, library.PoolTimeout) as failure:
        raise NotSent(str(failure)) from failure


class _Reading:
    """A request of the package as the library takes it, and its answer as it comes, within its bounds."""

    def __init__(self, library: ModuleType, request: HttpRequest, defaults: Mapping[str, str]) -> None:
        timeout = 60.0 if request.timeout is None else request.timeout
        self._limit, self._body, self._until = request.max_body, bytearray(), time.monotonic() + timeout
        # Made here and not by the client, which would add its own cookies and credentials: they may be another account's, and the request
        # goes to servers that they are not for.
        agent = [("User-Agent", defaults[name]) for name in ("User-Agent",) if name in defaults]
        self.request = library.Request(
            request.method,
            request.url,
            headers=[*agent, *request.headers],
            content=request.body,
            extensions={"timeout": library.Timeout(timeout).as_dict()},
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

    def done(self, response: Any) -> HttpResponse:
        headers = tuple((name.decode("latin-1"), value) for name, value in response.headers.raw)
        return HttpResponse(status=response.status_code, headers=headers, body=bytes(self._body))


def _no_cookies() -> CookieJar:
    """A jar that takes nothing: what a server remembers one account by does not go along with another's requests."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


def _kind(library: ModuleType, request: Any) -> Literal["empty", "repeatable", "one_shot"]:
    try:
        return "repeatable" if request.content else "empty"
    except library.RequestNotRead:
        return "one_shot"
