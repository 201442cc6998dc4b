"""Calls to protected APIs by requests: token, proofs, nonces, retries and refresh are done for you.

    import requests
    from keybound import Client, FileStore
    from keybound.requests import DPoPAuth

    client = Client(store=FileStore("sessions"))
    session = client.open("work")
    print(requests.get("https://api.example.com/items", auth=DPoPAuth(client, session)).json())

The token goes to targets under the session's resource alone. Redirects within the origin are followed with new proofs; one to elsewhere is
followed by requests without token and proof, unless `allow_redirects=False`.
"""

from __future__ import annotations

import functools
import time
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Literal

import requests
from requests.auth import AuthBase
from requests.cookies import extract_cookies_to_jar
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from ._drive import Finished, OwnBody, Pause
from ._flows import native_of
from ._held import hold
from ._options import needed
from .client import Client, Flow, Session
from .errors import FlowFailed, Misuse
from .keys import Key, Signer
from .transport import HttpRequest, HttpResponse, NotSent, naming

__all__ = ["DPoPAuth", "RequestsTransport", "demand_of", "ignored_challenge_of"]


class DPoPAuth(AuthBase):
    """Sends requests in a session: with its token and a fresh proof each, one more attempt where a nonce, a newer token or the server's
    clock makes the difference, and a refresh when it is time, once for all threads and processes.

    A body that is a stream is sent once: what the server wants is found out by a `HEAD` request before. A prepared request is good for
    one sending.
    """

    def __init__(self, client: Client, session: Session) -> None:
        """Requests go out in `session`, which `client` opened or logged in."""
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
    ) -> DPoPAuth:
        """The same for a token that was obtained elsewhere, which is bound to `key`. It goes to targets under `resource` alone."""
        return cls(*hold(access_token, key=key, resource=resource, expires_at=expires_at, allow_loopback=allow_loopback))

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Called by requests."""
        _Call(self._client, self._session, request).begin()
        return request

    def __repr__(self) -> str:
        return f"DPoPAuth({self._session!r})"


def demand_of(response: requests.Response) -> tuple[Literal["login", "step_up"], str | None] | None:
    """Whether a login, or a login for more scope (the second part), would help against this refusal."""
    demand = getattr(response, "keybound_demand", None)
    return None if demand is None else (demand["do"], demand.get("scope"))


def ignored_challenge_of(response: requests.Response) -> str | None:
    """Why a malformed line of the answer's `WWW-Authenticate` was ignored, if one was; the other lines count."""
    ignored: str | None = getattr(response, "keybound_ignored_challenge", None)
    return ignored


class RequestsTransport:
    """Sends the requests of a :class:`~keybound.Client` by requests: its proxies, certificates and adapters."""

    def __init__(self, session: requests.Session | None = None) -> None:
        """Sends by `session`, which follows no redirects here. Its `auth`, `headers`, `params` and `cookies` are for its own requests alone."""
        if session is None:
            session = requests.Session()
            # What a server remembers one account by does not go along with another's requests.
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session = session

    def send(self, request: HttpRequest) -> HttpResponse:
        """Sends one request. Raises :class:`~keybound.HostFailed` from the `requests.RequestException`, or from an `OSError` for an answer
        that is too long or slow; `NotSent` where no connection was made."""
        with naming(request):
            return self._send(request)

    def _send(self, request: HttpRequest) -> HttpResponse:
        timeout = 60.0 if request.timeout is None else request.timeout
        until, body = time.monotonic() + timeout, bytearray()
        settings = self._session.merge_environment_settings(request.url, {}, True, None, None)
        try:
            response = self._session.send(self._prepared(request), timeout=timeout, allow_redirects=False, **settings)
        except requests.ConnectionError as failure:
            if self._was_not_sent(failure, request.url):
                raise NotSent(str(failure)) from failure
            raise
        with response:
            for chunk in response.iter_content(16 * 1024) if request.max_body != 0 else ():
                body += chunk
                if request.max_body is not None and len(body) > request.max_body:
                    raise OSError(f"the answer is longer than the {request.max_body} bytes that are read")
                if time.monotonic() > until:
                    raise TimeoutError("the answer took too long")
            return HttpResponse(status=response.status_code, headers=_fields(response), body=bytes(body))

    def _was_not_sent(self, failure: requests.ConnectionError, url: str) -> bool:
        """Whether no connection was made. An adapter that tries again by itself tells of its last attempt alone: an earlier one may have
        arrived."""
        attempts = getattr(self._session.get_adapter(url), "max_retries", None)
        reason = getattr(failure.args[0] if failure.args else None, "reason", None)
        return getattr(attempts, "total", None) in (0, False) and isinstance(reason, (NewConnectionError, ConnectTimeoutError))

    def _prepared(self, request: HttpRequest) -> requests.PreparedRequest:
        """Made here and not by the session, which would add its own cookies and credentials, and those of a .netrc: they may be another
        account's, and the request goes to servers that they are not for."""
        fields: CaseInsensitiveDict[str] = CaseInsensitiveDict()
        for name, value in request.headers:
            # RFC 9110 section 5.3: a repeated field is the list of its values.
            fields[name] = f"{fields[name]}, {value}" if name in fields else value
        agent = self._session.headers.get("User-Agent")
        if agent:
            fields.setdefault("User-Agent", _text(agent))
        prepared = requests.PreparedRequest()
        prepared.prepare(method=request.method, url=request.url, headers=fields, data=request.body, auth=_unchanged)
        # As written: what the proof is for.
        prepared.url = request.url
        return prepared


class _Call:
    """A request of the caller's on its way: the flow of the core, and the attempts it asks for."""

    def __init__(self, client: Client, session: Session, request: requests.PreparedRequest) -> None:
        headers = [(name, _text(value)) for name, value in request.headers.items()]
        self._client = client
        # What is looked at now is what every attempt sends, whatever becomes of the caller's request meanwhile.
        self._request, self._body = request, request.body
        self._is_over = False
        self._flow: Flow[Finished] = client.call_flow(
            session, method=request.method or "GET", url=(request.url or "").partition("#")[0], headers=headers, body=_kind(request)
        )

    def begin(self) -> None:
        """Equips the request for its first attempt."""
        pause = self._advance(lambda: next(self._flow))
        if not isinstance(pause, OwnBody):
            raise FlowFailed("interrupted", "the request was not sent")
        _equip(self._request, pause, self._body)
        self._request.register_hook("response", self)  # type: ignore[no-untyped-call]
        self._request.__class__ = _bound(type(self._request))  # type: ignore[arg-type]

    def __call__(self, response: requests.Response, **options: Any) -> requests.Response:
        """Called by requests with the answer: further attempts are sent from here."""
        if self._is_over:
            # The answer to a redirect that requests followed.
            return response
        sent = [self._request]
        try:
            while True:
                told = HttpResponse(status=response.status_code, headers=_fields(response))
                pause = self._advance(lambda told=told: self._flow.send(told))
                if not isinstance(pause, OwnBody):
                    return self._concluded(pause, response)
                # Read to its end, so that its connection can be used again.
                response.content  # noqa: B018
                response.close()
                attempt = self._request.copy()
                extract_cookies_to_jar(attempt._cookies, response.request, response.raw)  # type: ignore[attr-defined, no-untyped-call]
                _equip(attempt, pause, self._body)
                attempt.prepare_cookies(attempt._cookies)  # type: ignore[attr-defined]
                sent.append(attempt)
                following: requests.Response = response.connection.send(attempt, **options)
                following.history = [*response.history, response]
                following.request = attempt
                response = following
        finally:
            self._is_over = True
            self._flow.close()
            # What requests sends after this, to wherever it is redirected, has neither token nor proof.
            for request in sent:
                for name in _SECRET:
                    request.headers.pop(name, None)

    def _concluded(self, done: Finished, response: requests.Response) -> requests.Response:
        demand = done.result.get("demand")
        if demand is not None and demand["do"] == "resend":
            detail = "the server asks for the request once more, and its body was a stream; make it anew and send it again"
            raise FlowFailed("resend", detail)
        response.keybound_demand = demand  # type: ignore[attr-defined]
        response.keybound_ignored_challenge = done.result.get("ignored_challenge")  # type: ignore[attr-defined]
        return response

    def _advance(self, step: Any) -> OwnBody | Finished:
        """Goes on until the caller's own request is to be sent, or there is an end."""
        try:
            pause: Pause = step()
            while not isinstance(pause, OwnBody):
                try:
                    answer = self._client._answer(pause)
                except Exception as failure:
                    pause = self._flow.throw(failure)
                else:
                    pause = self._flow.send(answer)
        except StopIteration as done:
            finished: Finished = done.value
            return finished
        except BaseException:
            # Interrupted in the middle: locks are given back now, and not when the garbage is collected.
            self._flow.close()
            raise
        return pause


class _Bound(requests.PreparedRequest):
    """A request with token and proof. Its caller may hold it before it is sent, and must not lead it elsewhere."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("method", "url") and value != getattr(self, name, None):
            detail = f"this request has token and proof for {self.method} {_place(self.url)}; make and prepare another one for another target"
            raise Misuse("request_changed", detail)
        super().__setattr__(name, value)


@functools.cache
def _bound(kind: type[requests.PreparedRequest]) -> type[requests.PreparedRequest]:
    return type(kind.__name__, (_Bound,) if kind is requests.PreparedRequest else (_Bound, kind), {})


class _Fields(CaseInsensitiveDict[str]):
    """Header fields that show neither token nor proof, wherever an error or a log prints them."""

    def copy(self) -> _Fields:
        return _Fields(self.items())

    def __repr__(self) -> str:
        return repr({name: "[secure]" if name.lower() in _SECRET else value for name, value in self.items()})


_SECRET = ("authorization", "dpop")


def _equip(request: requests.PreparedRequest, pause: OwnBody, body: Any) -> None:
    """Makes `request` the attempt that is asked for."""
    request.method, request.url = pause.request.method, pause.request.url
    request.headers = _Fields(pause.request.headers)
    request.body = None if pause.body == "empty" else body


def _place(url: str | None) -> str:
    """A URL without its query, for texts."""
    return (url or "").partition("?")[0]


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _fields(response: requests.Response) -> tuple[tuple[str, bytes], ...]:
    """One element for each field line: `response.headers` has joined them."""
    raw: Any = getattr(response.raw, "headers", None)
    pairs = raw.iteritems() if hasattr(raw, "iteritems") else response.headers.items()
    return tuple((name, value.encode("latin-1", "replace")) for name, value in pairs)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value.encode().decode("latin-1")


def _kind(request: requests.PreparedRequest) -> Literal["empty", "repeatable", "one_shot"]:
    if not request.body:
        return "empty"
    return "repeatable" if isinstance(request.body, (str, bytes)) else "one_shot"
