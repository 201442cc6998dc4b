"""A protected resource: requests in, principals or the answers to send out (RFC 9449 section 7, RFC 9068, RFC 9728)."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from ._async_drive import Awaiting, Threaded
from ._drive import Blocking
from ._cors import Cors
from ._resource import Breaker, Incoming, Introspection, IssuerProfile, Limit, Proxies, Resource, ResourceOptions, Unconsumed
from ._types import Refusal
from .errors import Misuse, Reason, Refused
from .principal import Principal
from .stores import AsyncReplayStore, ReplayStore
from .transport import AsyncTransport, StandardTransport, Transport, sending

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "AsyncResourceServer",
    "Breaker",
    "Cors",
    "Incoming",
    "Introspection",
    "IssuerProfile",
    "Limit",
    "Principal",
    "Proxies",
    "Refusal",
    "Refused",
    "ResourceOptions",
    "ResourceServer",
    "Unconsumed",
]


class ResourceServer(Blocking, Resource):
    """Admits requests to a resource that carry a bound token and a fresh proof. All threads may use it.

    `resource` is its identifier (RFC 8707), `issuers` are the authorization servers whose JWT access tokens it takes,
    found by their metadata: a list, or a dict that names a profile for each (:data:`~keybound.IssuerProfile`); `introspection` is asked
    about others. `store` remembers used proofs: a :class:`~keybound.MemoryReplayStore` for one process otherwise. Other arguments: `policy` for proofs (with nonces), `schemes`,
    `audiences`, `token_algorithms`, `leeway` (seconds), `require_client_id`, `realm`, `scope` (for challenges), `scopes`, `name` and
    `documentation` (for metadata), `origin`, `also_origins`, `path_prefix` and `proxies` (for targets), `mount_path` (where the
    application is mounted), `allow_loopback` (permits `http` servers on this machine), `limit_addresses`, `limit_keys` and `limit_clients`
    (each a :class:`~keybound.Limit`: too many requests are refused with 429) and `breaker` (a :class:`~keybound.Breaker`, for a store that fails). `workers=1` says that one process serves the
    resource, where that cannot be seen.
    """

    def __init__(
        self, *, store: ReplayStore | None = None, transport: Transport | None = None, workers: int | None = None, **options: Unpack[ResourceOptions]
    ) -> None:
        """Raises :class:`~keybound.Misuse` for options that cannot be used."""
        sending(transport)
        hosts: tuple[tuple[Reason, object, str], ...] = (("store_type", store, "insert"), ("transport_type", transport, "send"))
        for reason, host, method in hosts:
            if inspect.iscoroutinefunction(getattr(host, method, None)):
                option = reason.removesuffix("_type")
                raise Misuse(reason, f"this {option} is awaited, and a ResourceServer blocks; take an AsyncResourceServer")
        self._transport = transport or StandardTransport()
        super().__init__(store, workers, options)

    def authenticate(self, incoming: Incoming, *, now: int | None = None) -> Principal:
        """Admits a request. Raises :class:`~keybound.Refused` with the answer to send."""
        return self._run(self._admitted(incoming, now))

    def check(self, incoming: Incoming, *, now: int | None = None) -> Unconsumed:
        """Makes every check but replay, and uses nothing up: for a gateway in front of the service that does.

        Raises :class:`~keybound.Refused` with the answer to send.
        """
        return self._run(self._checked(incoming, now))


class AsyncResourceServer(Awaiting, Resource):
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
        sending(transport)
        self._transport = transport or Threaded()
        super().__init__(store, workers, options)

    async def authenticate(self, incoming: Incoming, *, now: int | None = None) -> Principal:
        """See :meth:`ResourceServer.authenticate`."""
        return await self._run(self._admitted(incoming, now))

    async def check(self, incoming: Incoming, *, now: int | None = None) -> Unconsumed:
        """See :meth:`ResourceServer.check`."""
        return await self._run(self._checked(incoming, now))
