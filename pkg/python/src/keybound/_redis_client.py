"""What a replay store takes of a client of redis-py or valkey-py: how to connect, and what its replies are to the core."""

from __future__ import annotations

import inspect
import ssl
import time
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Final
from weakref import ref

from . import _keybound
from .errors import Misuse, Reason

__all__ = ["Library", "Place", "Refused", "arguments_of", "error_of", "filled", "library_of", "reply_of"]

#: The packages whose clients are taken, and the names of their clients for one server and for a cluster.
LIBRARIES: Final = {"redis": ("Redis", "RedisCluster"), "valkey": ("Valkey", "ValkeyCluster")}

#: The codes of replies that are errors, which clients put into types and take out of the texts.
CODES: Final = {
    "AskError": "ASK",
    "AuthenticationError": "NOAUTH",
    "BusyLoadingError": "LOADING",
    "ClusterCrossSlotError": "CROSSSLOT",
    "ClusterDownError": "CLUSTERDOWN",
    "MasterDownError": "MASTERDOWN",
    "MovedError": "MOVED",
    "NoPermissionError": "NOPERM",
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "TryAgainError": "TRYAGAIN",
}

#: What a reply is that did not come.
MISSING: Final = "?"

#: Options of connections that are for the application's own commands: a store decides by itself how long it waits, and repeats nothing.
OWN: Final[dict[str, Any]] = {
    "decode_responses": False,
    "health_check_interval": 0,
    "protocol": 2,
    "retry": None,
    "retry_on_error": [],
    "retry_on_timeout": False,
}

#: Options that tie a connection to the client's pool, which moves it to another server or changes its time-outs.
POOLED: Final = ("maint_notifications_", "maintenance_", "oss_cluster_", "orig_")


class Refused(Exception):
    """The connection cannot be made, or not as it must be: a stable name and what to do."""

    def __init__(self, name: Reason, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.message = message


@dataclass(frozen=True, slots=True)
class Library:
    """A client's library, and which of its clients it is."""

    name: str
    is_async: bool
    is_cluster: bool

    @property
    def errors(self) -> Any:
        """Its module of exceptions."""
        return import_module(f"{self.name}.exceptions")

    def typed(self, cluster: bool = False) -> str:
        """The client as it is written in a program."""
        one, many = LIBRARIES[self.name]
        return f"{self.name}{'.asyncio' if self.is_async else ''}.{many if cluster else one}"


def library_of(client: Any, store: str, is_async: bool) -> Library:
    """What `client` is. Raises :class:`Misuse` for anything but a client of the kind that the store needs."""
    found = _found(type(client))
    wanted = Library("redis", is_async, False).typed()
    if found is None:
        if inspect.isawaitable(client):
            if inspect.iscoroutine(client):
                client.close()
            raise Misuse("client_type", f"the client of {store} is not awaited yet; write await before what makes it")
        raise Misuse(
            "client_type", f"the client of {store} is one of redis-py or valkey-py, and this is {type_name(client)}; write {wanted}.from_url(…)"
        )
    if found.is_async != is_async:
        other = "RedisReplayStore.open(…)" if is_async else "await AsyncRedisReplayStore.open(…)"
        raise Misuse("client_type", f"{store} takes a client like {wanted}, and this is {found.typed(found.is_cluster)}; write {other} for it")
    return found


def _found(kind: type) -> Library | None:
    for base in kind.__mro__:
        package, _, module = base.__module__.partition(".")
        if base.__name__ in LIBRARIES.get(package, ()):
            is_async = module.startswith("asyncio")
            return Library(package, is_async, base.__name__ == LIBRARIES[package][1])
    return None


def type_name(value: object) -> str:
    """The name of a value's type, for messages: the value may hold a password."""
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


@dataclass(frozen=True, slots=True, repr=False)
class Place:
    """A server, and how the client connects to it."""

    kind: Any
    options: dict[str, Any]

    @classmethod
    def of(cls, client: Any, library: Library, key: str) -> Place:
        """Where the client would send commands with this key, as far as it knows."""
        holder = client
        if library.is_cluster:
            holder = client.get_node_from_key(key)
            if holder is None:
                raise ConnectionError("no node of the cluster has this namespace")
            if not library.is_async:
                holder = client.get_redis_connection(holder)
        # Nodes of an asynchronous cluster are pools themselves.
        pool = getattr(holder, "connection_pool", holder)
        return cls(pool.connection_class, dict(pool.connection_kwargs))

    @property
    def identity(self) -> Hashable:
        """Tells servers apart, so that no connection to another is taken."""
        return self.kind, *(self.options.get(name) for name in ("host", "port", "path", "db"))

    def connection(self, connect: float | None) -> Any:
        """A new connection that is not connected yet, for tasks."""
        return self.kind(**self._made_with(connect))

    def timed(self, connect: float) -> Any:
        """The same for threads: what is read of it ends at its `until`, whatever comes in piece by piece."""
        made = _timed(self.kind)(**self._made_with(connect))
        made.until = time.monotonic() + connect
        return made

    def _made_with(self, connect: float | None) -> dict[str, Any]:
        options = {name: value for name, value in self.options.items() if not name.startswith(POOLED)}
        return options | OWN | {"socket_timeout": connect, "socket_connect_timeout": connect}

    def check(self, accepts_plaintext: bool) -> None:
        """Raises :class:`Refused` for clients of sentinels, and where someone on the way could read the password or answer in the server's
        place."""
        names = {base.__name__ for base in self.kind.__mro__}
        if "SentinelManagedConnection" in names:
            raise Refused(
                "client_type",
                "clients of sentinels are not supported; give the store a client of the primary, by a name that follows it: "
                "redis.Redis.from_url('rediss://primary.example.com')",
            )
        if accepts_plaintext:
            return
        if "SSLConnection" in names:
            made = self.connection(None)
            checks = getattr(made, "check_hostname", True), getattr(made, "cert_reqs", ssl.CERT_REQUIRED)
            if not checks[0] or checks[1] != ssl.CERT_REQUIRED:
                raise Refused(
                    "plaintext",
                    "the client takes any certificate for the Redis server's; write ssl_cert_reqs='required' and ssl_check_hostname=True, or "
                    "danger_plaintext=True where no one else can reach the network between them",
                )
        elif "UnixDomainSocketConnection" not in names:
            if _keybound.redis_needs_tls(str(self.options.get("host", "localhost"))):
                raise Refused(
                    "plaintext",
                    "the Redis server is on another machine and the client does not use TLS; write rediss:// or ssl=True, or "
                    "danger_plaintext=True where no one else can reach the network between them",
                )


@cache
def _timed(kind: Any) -> Any:
    """Connections of this kind with a moment at which all that is read or written of them ends."""

    def connect(self: Any) -> Any:
        return _TimedSocket(kind._connect(self), self)

    return type(kind.__name__, (kind,), {"until": 0.0, "_connect": connect})


class _TimedSocket:
    """A socket whose time-outs are never longer than what its connection has left."""

    def __init__(self, socket: Any, connection: Any) -> None:
        self._socket, self._connection = socket, ref(connection)
        self._timeout: float | None = socket.gettimeout()

    def settimeout(self, timeout: float | None) -> None:
        """For what comes next."""
        self._timeout = timeout

    def recv(self, *given: Any) -> Any:
        """As of a socket."""
        return self._in_time().recv(*given)

    def recv_into(self, *given: Any) -> Any:
        """As of a socket."""
        return self._in_time().recv_into(*given)

    def sendall(self, *given: Any) -> Any:
        """As of a socket."""
        return self._in_time().sendall(*given)

    def _in_time(self) -> Any:
        # To look whether something is there takes no time.
        if self._timeout != 0:
            connection = self._connection()
            left = (connection.until if connection is not None else 0.0) - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left if self._timeout is None else min(left, self._timeout))
        else:
            self._socket.settimeout(0)
        return self._socket

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def reply_of(value: object) -> str:
    """A reply as the core reads it: a byte string whose first character says what it is."""
    if isinstance(value, bytes):
        return f"+{value.decode('latin-1')}"
    if isinstance(value, bool) or value is None:
        return "_" if value is None else MISSING
    if isinstance(value, int):
        return f":{value}"
    if isinstance(value, str):
        return f"+{value.encode().decode('latin-1')}"
    return MISSING


def error_of(error: Exception, library: Library) -> str | None:
    """The same of a reply that is an error; none for an exception that is no reply."""
    known = (CODES.get(base.__name__) for base in type(error).__mro__)
    # Only the latest clients keep the code.
    code = getattr(error, "status_code", None) or next((code for code in known if code), None)
    if code is None:
        if not isinstance(error, library.errors.ResponseError):
            return None
        # The one code that is taken out of the texts of errors without a type.
        code = "" if str(error).split(" ")[0].isupper() else "ERR"
    return "-" + f"{code} {error}".strip().encode(errors="replace").decode("latin-1")


def filled(replies: list[str], count: int) -> list[str]:
    """All replies, with those that did not come."""
    return [*replies, *[MISSING] * (count - len(replies))]


def arguments_of(commands: Iterable[Iterable[str]]) -> list[list[bytes]]:
    """Commands as clients take them."""
    return [[argument.encode("latin-1") for argument in command] for command in commands]
