"""A protected resource: requests in, principals or the answers to send out (RFC 9449 section 7, RFC 9068, RFC 9728)."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from . import _keybound
from ._issuers import Introspection, IssuerProfile, answer, document_at, keys_url, metadata_urls, question
from ._judging import ASKED_AT_ONCE, ASKED_WITHIN, Headers, Proxies, Resource, ResourceOptions, check_server_options, usual_policy
from ._options import one
from ._types import Insertion, Refusal, current
from .errors import KeyboundError, Misuse, Refused
from .intents import Intent
from .policy import Policy
from .principal import Principal
from .stores import AsyncReplayStore, MemoryReplayStore, ReplayStore, stated_alone
from .transport import AsyncTransport, HttpRequest, HttpResponse, StandardTransport, Transport

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "AsyncResourceServer",
    "Introspection",
    "IssuerProfile",
    "Principal",
    "Proxies",
    "Refusal",
    "Refused",
    "ResourceOptions",
    "ResourceServer",
]

log = logging.getLogger("keybound")


class ResourceServer(Resource):
    """Admits requests to a resource that carry a bound token and a fresh proof. All threads may use it.

    `resource` is its identifier (RFC 8707), `issuers` are the authorization servers whose JWT access tokens it takes,
    found by their metadata: a list, or a dict that names a profile for each (:data:`~keybound.IssuerProfile`); `introspection` is asked
    about others. `store` remembers used proofs: a :class:`~keybound.MemoryReplayStore` for one process otherwise. Other arguments: `policy` for proofs (with nonces), `schemes`,
    `audiences`, `token_algorithms`, `leeway` (seconds), `require_client_id`, `realm`, `scope` (for challenges), `scopes`, `name` and
    `documentation` (for metadata), `origin`, `also_origins`, `path_prefix` and `proxies` (for targets), `mount_path` (where the
    application is mounted), `allow_loopback` (permits `http` servers on this machine). `workers=1` says that one process serves the
    resource, where that cannot be seen.
    """

    def __init__(
        self, *, store: ReplayStore | None = None, transport: Transport | None = None, workers: int | None = None, **options: Unpack[ResourceOptions]
    ) -> None:
        """Raises :class:`~keybound.Misuse` for options that cannot be used."""
        check_server_options(options)
        policy = options["policy"] = one("policy", options.get("policy"), Policy) or usual_policy()
        sending(transport)
        for option, host, method in (("store", store, "insert"), ("transport", transport, "send")):
            if inspect.iscoroutinefunction(getattr(host, method, None)):
                raise Misuse(f"{option}_type", f"this {option} is awaited, and a ResourceServer blocks; take an AsyncResourceServer")
        self.store: ReplayStore = store if store is not None else MemoryReplayStore(policy=policy, workers=workers)
        self._loopback = bool(options.get("allow_loopback"))
        self._transport: Transport = transport or StandardTransport(timeout=10)
        self._lock = threading.Lock()
        self._alone = stated_alone(self.store, workers, policy)
        super().__init__(epoch=self.store.epoch, **options)

    def authenticate(
        self,
        *,
        method: str,
        headers: Headers,
        target: bytes | None = None,
        url: str | None = None,
        peer: str | None = None,
        now: int | None = None,
    ) -> Principal:
        """Admits a request.

        `target` is the raw request target as received (`/a%2Fb?c`), or `url` the whole URL. `headers` has one element for each
        field line, and `peer` is the address of the connection, where proxies are configured.

        Raises :class:`~keybound.Refused` with the answer to send.
        """
        judging = self._judge(self.store.epoch, method, target, url, headers, peer, now)
        try:
            what, about = next(judging)
            while True:
                what, about = judging.send(self._answer(what, about, now))
        except StopIteration as done:
            principal: Principal = done.value
            return principal

    def _carried_out(self, principal: Principal, method: str, url: str, body: bytes, now: int | None) -> Intent:
        carrying = self._carry_out(principal, method, url, body, now)
        try:
            carrying.send(self._answer("insert", next(carrying), now))
        except StopIteration as done:
            intent: Intent = done.value
            return intent
        raise AssertionError("one entry is inserted")

    def _answer(self, what: str, about: Any, now: int | None) -> Any:
        if what == "insert":
            try:
                return self.store.insert(about, now=current(now))
            except KeyboundError:
                raise
            except Exception:
                return Insertion.UNAVAILABLE
        try:
            if what == "introspection":
                if not self._asking.take(ASKED_WITHIN):
                    return None
                try:
                    return answer(self._transport.send(question(self._introspection, about)))
                finally:
                    self._asking.give()
            issuer, native = about
            keys, stale = self._kept_keys(issuer, native)
            if not stale and keys is not None:
                return keys
            with self._lock:
                # Whoever waited here finds what the one before fetched.
                keys, stale = self._kept_keys(issuer, native)
                if stale:
                    self._tried[issuer] = time.monotonic()
                    # Those of before are better than none.
                    keys = self._fetched(issuer) or keys
                return keys
        except Misuse:
            raise
        except Exception:
            return None

    def _fetched(self, issuer: str) -> _keybound.NativeJwkSet | None:
        try:
            return self._fetch_keys(issuer)
        except Misuse:
            raise
        except Exception as failure:
            log.warning("the keys of %s cannot be fetched: %s", issuer, failure)
            return None

    def _fetch_keys(self, issuer: str) -> _keybound.NativeJwkSet | None:
        for url in metadata_urls(issuer):
            found = keys_url(issuer, self._transport.send(document_at(url)), self._loopback)
            if found is not None:
                return self._keep_keys(issuer, self._transport.send(document_at(found)))
        return None


class AsyncResourceServer(Resource):
    """The same as :class:`ResourceServer`, awaited. The store may be either kind.

    Without a transport, requests to authorization servers are sent by the standard library on another thread.
    """

    def __init__(
        self,
        *,
        store: AsyncReplayStore | ReplayStore | None = None,
        transport: AsyncTransport | None = None,
        workers: int | None = None,
        **options: Unpack[ResourceOptions],
    ) -> None:
        """Raises :class:`~keybound.Misuse` for options that cannot be used."""
        check_server_options(options)
        policy = options["policy"] = one("policy", options.get("policy"), Policy) or usual_policy()
        sending(transport)
        self.store = store if store is not None else MemoryReplayStore(policy=policy, workers=workers)
        self._loopback = bool(options.get("allow_loopback"))
        self._transport: AsyncTransport = transport or _Threaded(StandardTransport(timeout=10).send)
        self._fetching: dict[str, asyncio.Task[_keybound.NativeJwkSet | None]] = {}
        self._alone = stated_alone(self.store, workers, policy)
        super().__init__(epoch=self.store.epoch, **options)

    async def authenticate(
        self,
        *,
        method: str,
        headers: Headers,
        target: bytes | None = None,
        url: str | None = None,
        peer: str | None = None,
        now: int | None = None,
    ) -> Principal:
        """See :meth:`ResourceServer.authenticate`."""
        judging = self._judge(self.store.epoch, method, target, url, headers, peer, now)
        try:
            what, about = next(judging)
            while True:
                what, about = judging.send(await self._answer(what, about, now))
        except StopIteration as done:
            principal: Principal = done.value
            return principal

    async def _carried_out(self, principal: Principal, method: str, url: str, body: bytes, now: int | None) -> Intent:
        carrying = self._carry_out(principal, method, url, body, now)
        try:
            carrying.send(await self._answer("insert", next(carrying), now))
        except StopIteration as done:
            intent: Intent = done.value
            return intent
        raise AssertionError("one entry is inserted")

    async def _answer(self, what: str, about: Any, now: int | None) -> Any:
        if what == "insert":
            try:
                inserted: Any = self.store.insert(about, now=current(now))
                return (await inserted) if hasattr(inserted, "__await__") else inserted
            except KeyboundError:
                raise
            except Exception:
                return Insertion.UNAVAILABLE
        try:
            if what == "introspection":
                if not await self._asking.take_async(ASKED_WITHIN):
                    return None
                try:
                    return answer(await self._transport.send(question(self._introspection, about)))
                finally:
                    self._asking.give()
            issuer, native = about
            keys, stale = self._kept_keys(issuer, native)
            task = self._fetching.get(issuer)
            if not stale and (keys is not None or task is None or task.done()):
                return keys
            if task is None or task.done():
                self._tried[issuer] = time.monotonic()
                task = asyncio.ensure_future(self._fetched(issuer))
                self._fetching[issuer] = task
            # The fetch goes on if this request is given up; those of before are better than none.
            return await asyncio.shield(task) or keys
        except Misuse:
            raise
        except Exception:
            return None

    async def _fetched(self, issuer: str) -> _keybound.NativeJwkSet | None:
        try:
            return await self._fetch_keys(issuer)
        except Misuse:
            raise
        except Exception as failure:
            log.warning("the keys of %s cannot be fetched: %s", issuer, failure)
            return None

    async def _fetch_keys(self, issuer: str) -> _keybound.NativeJwkSet | None:
        for url in metadata_urls(issuer):
            found = keys_url(issuer, await self._transport.send(document_at(url)), self._loopback)
            if found is not None:
                return self._keep_keys(issuer, await self._transport.send(document_at(found)))
        return None


class _Threaded:
    """A synchronous transport on threads of its own: in the loop's pool, slow answers would hold up the application's work."""

    def __init__(self, send: Callable[[HttpRequest], HttpResponse]) -> None:
        self._send, self._threads = send, ThreadPoolExecutor(ASKED_AT_ONCE, "keybound")

    async def send(self, request: HttpRequest) -> HttpResponse:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._send, request)


def sending(transport: object) -> None:
    """Raises :class:`~keybound.Misuse` for a transport that sends nothing: keys of issuers could never be fetched."""
    if transport is not None and (isinstance(transport, type) or not callable(getattr(transport, "send", None))):
        raise Misuse("transport_type", "a transport is an object with a method send; see keybound.Transport")
