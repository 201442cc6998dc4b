"""How the client and the resource server send requests: a protocol, and the standard library's way."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from .errors import HostFailed, KeyboundError, Misuse

__all__ = ["AsyncTransport", "HttpRequest", "HttpResponse", "NotSent", "StandardTransport", "Transport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request, to be sent exactly as it is and without following redirects."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)
    max_body: int | None = None
    """How many bytes of the answer are read: a longer one is an error. With 0 the body is not read. `None` reads it all."""
    timeout: float | None = None
    """For how many seconds the whole answer is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """What came back: one element of `headers` for each field line."""

    status: int
    headers: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str | None:
        """The first value of a field."""
        wanted = name.lower()
        return next((value.decode("latin-1") for known, value in self.headers if known.lower() == wanted), None)


class NotSent(OSError):
    """Raised by a transport: the network failed, and no byte of the request left (no such name, connection refused, no TLS).

    Raise it `from` the library's own error, which reaches the caller if the request cannot be sent in the end. A request that may have
    arrived must not be called so: a server would carry it out twice. Any other error leaves that open.
    """


class Transport(Protocol):
    """Sends requests and waits for the answers."""

    def send(self, request: HttpRequest) -> HttpResponse:
        """Sends one request. Where it raises :class:`NotSent`, the request is sent again; so are questions (metadata) where it raises
        anything else. Otherwise what it raises ends the flow and reaches the caller."""


class AsyncTransport(Protocol):
    """The same, awaited."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Sends one request."""


def sending(transport: object) -> None:
    """Raises :class:`~keybound.Misuse` for a transport that sends nothing: no server could ever be asked."""
    if transport is not None and (isinstance(transport, type) or not callable(getattr(transport, "send", None))):
        raise Misuse("transport_type", "a transport is an object with a method send; see keybound.Transport")


@contextlib.contextmanager
def naming(request: HttpRequest) -> Iterator[None]:
    """Raises :class:`~keybound.HostFailed` for what a transport of this package fails with, `from` that: it names the URL, without its
    query. A :class:`NotSent` stays one, and has it as its cause."""
    try:
        yield
    except KeyboundError:
        raise
    except NotSent as unsent:
        cause = unsent.__cause__ if isinstance(unsent.__cause__, Exception) else unsent
        failed = _failed(request, cause)
        failed.__cause__ = cause
        raise NotSent(failed.detail) from failed
    except Exception as failure:
        raise _failed(request, failure) from failure


def _failed(request: HttpRequest, failure: Exception) -> HostFailed:
    # Libraries put the whole URL into their texts.
    text = "" if "?" in str(failure) else str(failure)
    cause = ": ".join(filter(None, (type(failure).__name__, text)))
    return HostFailed("network", f"{request.method} {request.url.partition('#')[0].partition('?')[0]} failed: {cause}")


class StandardTransport:
    """Requests by the standard library: one connection each, certificates checked, redirects not followed."""

    def __init__(self, *, timeout: float = 60.0, context: ssl.SSLContext | None = None) -> None:
        """`timeout` counts for each silence of a server, in seconds; `context` says which certificates are trusted."""
        self._timeout = timeout
        self._context = context or ssl.create_default_context()

    def send(self, request: HttpRequest) -> HttpResponse:
        """Sends one request. Raises :class:`~keybound.HostFailed` with the reason `network`, which names the URL; a :class:`NotSent` has
        it as its cause."""
        with naming(request):
            return self._send(request)

    def _send(self, request: HttpRequest) -> HttpResponse:
        parts = urlsplit(request.url)
        host, timeout = parts.hostname or "", request.timeout or self._timeout
        if parts.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, parts.port, timeout=timeout, context=self._context
            )
        else:
            connection = http.client.HTTPConnection(host, parts.port, timeout=timeout)
        # As written: quoting it anew would change what the proof is for.
        target = request.url.split("://", 1)[1].partition("#")[0]
        slash = min((target.find(mark) for mark in "/?" if mark in target), default=len(target))
        target = target[slash:]
        target = target if target.startswith("/") else "/" + target
        deadline = _Deadline(request.timeout)
        try:
            try:
                connection.connect()
            except Exception as failure:
                raise NotSent(str(failure)) from failure
            deadline.begin(connection.sock)
            connection.putrequest(request.method, target, skip_accept_encoding=True)
            for name, value in request.headers:
                connection.putheader(name, value)
            if request.body is not None or request.method in ("POST", "PUT", "PATCH"):
                connection.putheader("Content-Length", str(len(request.body or b"")))
            connection.endheaders(request.body or None)
            response = connection.getresponse()
            limit = request.max_body
            if limit == 0:
                return _answered(response, b"")
            body = response.read() if limit is None else response.read(limit + 1)
            deadline.check()
            if limit is not None and len(body) > limit:
                raise OSError(f"the answer is longer than the {limit} bytes that are read")
            if response.length:
                # A read of so many bytes does not tell by itself that the connection broke off. Half an answer is no answer.
                raise http.client.IncompleteRead(body, response.length)
            return _answered(response, body)
        except Exception:
            deadline.check()
            raise
        finally:
            deadline.end()
            connection.close()


def _answered(response: http.client.HTTPResponse, body: bytes) -> HttpResponse:
    headers = tuple((name, value.encode("latin-1", "replace")) for name, value in response.getheaders())
    return HttpResponse(status=response.status, headers=headers, body=body)


class _Deadline:
    """Ends the connection of a request whose answer takes too long. The socket's own timeout begins again with each byte: a server that
    sends one now and then would hold a lock, or a turn to ask, for ever."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._timer: threading.Timer | None = None
        self._is_over = False

    def begin(self, connection: socket.socket) -> None:
        """From now on, the time runs."""
        if self._seconds is not None:
            self._timer = threading.Timer(self._seconds, self._expire, (connection,))
            self._timer.daemon = True
            self._timer.start()

    def check(self) -> None:
        """Raises `TimeoutError` if the time is over: what was read then may be half of an answer."""
        if self._is_over:
            raise TimeoutError(f"the answer took longer than {self._seconds:g} s")

    def end(self) -> None:
        """The answer is there, or there is none."""
        if self._timer is not None:
            self._timer.cancel()

    def _expire(self, connection: socket.socket) -> None:
        self._is_over = True
        with contextlib.suppress(OSError):
            # Of the socket below TLS, whose own method is not for other threads.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)
