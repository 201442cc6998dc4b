"""What the middleware of all frameworks shares: the raw target, the header fields, the fields of an answer."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_from_bytes

from . import _keybound
from ._options import texts
from ._resource import PATH_SHOWN, log_refusal
from ._types import Refusal
from ._workers import FORKED
from .errors import NATIVE, Misuse, Refused, reraise
from .stores import MemoryReplayStore

if TYPE_CHECKING:
    from ._resource import Resource

log = logging.getLogger("keybound")

METADATA_FIELDS: Final = (("Content-Type", "application/json"), ("Access-Control-Allow-Origin", "*"))

#: What middleware has besides the options of a server.
OWN_OPTIONS: Final = ("server", "public", "danger_decoded_path")

NO_RAW_PATH: Final = (
    "this server tells applications the decoded path alone, in which %2F and / are the same, so that a proof for one path would open "
    "another; use one that passes the raw path on (uvicorn, hypercorn, gunicorn, uWSGI, mod_wsgi), or take the risk by "
    "danger_decoded_path=True"
)

MOUNT_PATH: Final = (
    "a request was refused: it states the mount point %a (SCRIPT_NAME, root_path), and the option mount_path is %a; or its path is not the "
    "one it was sent to; write mount_path='/…' where you mounted this application"
)

SEVERAL_WORKERS: Final = (
    "this application runs in several worker processes, which would each remember proofs for themselves, so that one proof is good once "
    "for each of them; give store= one that they share and nonce keys with it, or run one worker"
)

@dataclass(frozen=True, slots=True)
class Told:
    """What a server's interface tells about the path of one request: WSGI and ASGI in the same terms, everything in bytes."""

    raw: bytes | None
    """The request target as received, where the server gives it."""
    mount_path: bytes
    """The mount point that is stated for this request, decoded. Clients can set it under gunicorn and daphne."""
    path: bytes
    """The path behind it, which the framework routes by, decoded."""
    whole: bytes
    """The path as received, decoded."""
    query: bytes

    def asks_for_metadata(self, server: Resource, method: str) -> bool:
        """Whether the metadata of the resource is asked for, wherever the application is mounted."""
        return server.asks_for_metadata(method=method, target=self.raw or self._encoded(), mount_path=self.mount_path, path=self.path)

    def routed(self, server: Resource) -> str:
        """The path that the framework routes by, once it is known that the client did not choose it. Raises :class:`Refused`."""
        return server.route(target=self.raw or self._encoded(), mount_path=self.mount_path, path=self.path)

    def target(self, danger_decoded_path: bool) -> bytes:
        """The request target as received. Raises :class:`Misuse` for a server that keeps it."""
        if self.raw:
            return self.raw
        if not danger_decoded_path:
            raise Misuse("decoded_path", NO_RAW_PATH)
        return self._encoded()

    def _encoded(self) -> bytes:
        """The decoded path, encoded again as well as can be."""
        target = quote_from_bytes(self.whole, safe="/:@!$&'()*+,;=~").encode()
        return target + b"?" + self.query if self.query else target


class Public:
    """The paths of an application that need no token: `/health`, or `/static/*` for all below."""

    def __init__(self, entries: object, mount_path: str) -> None:
        """Raises :class:`Misuse` for an entry that would match nothing, or something else than it seems to. Warns of one that has the mount
        point in front: paths are those behind it."""
        paths = texts("public", entries)
        for path in paths:
            if mount_path and path.startswith(f"{mount_path}/"):
                behind = path[len(mount_path) :]
                log.warning("public has %r, which is %r to clients: paths are those behind mount_path; write %r", path, mount_path + path, behind)
        try:
            self._native = _keybound.PublicPaths(paths)
        except NATIVE as error:
            reraise(error)

    def __contains__(self, path: str) -> bool:
        return self._native.contain(path)


def told_by_wsgi(environ: Mapping[str, Any], *, mount_path: bytes, path: bytes) -> Told:
    """What WSGI tells, with the mount point that it states and the path that the framework routes by.

    WSGI has no name for the raw request target: gunicorn and Werkzeug call it `RAW_URI`, uWSGI, mod_wsgi and waitress `REQUEST_URI`.
    Clients cannot set either, for their fields arrive as `HTTP_…`.
    """
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    query = latin(environ.get("QUERY_STRING", ""))
    return Told(latin(raw) if isinstance(raw, str) else None, mount_path, path, mount_path + path, query)


def told_by_asgi(scope: Mapping[str, Any], *, mount_path: str | None = None, path: str | None = None) -> Told:
    """What ASGI tells, with the mount point and the path of a framework that has its own of these."""
    raw, query = scope.get("raw_path"), bytes(scope.get("query_string", b""))
    if isinstance(raw, bytes) and query and b"?" not in raw:
        raw = raw + b"?" + query
    whole = str(scope["path"])
    if mount_path is None:
        mount_path = str(scope.get("root_path") or "")
    if path is None:
        # It has the mount point in front, unless a proxy took it away and only tells of it.
        path = whole[len(mount_path) :] if whole == mount_path or whole.startswith(mount_path + "/") else whole
    mount, routed, received = (text.encode("utf-8", "replace") for text in (mount_path, path, whole))
    return Told(raw if isinstance(raw, bytes) else None, mount, routed, received, query)


def latin(text: object) -> bytes:
    """A text of WSGI, which has one character for each byte (PEP 3333)."""
    return str(text).encode("latin-1", "replace")


def wsgi_fields(environ: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """The header fields. WSGI servers have joined repeated ones with commas, which the core refuses in the fields that matter."""
    return [
        (name[5:].replace("_", "-").lower(), value.encode("latin-1", "replace"))
        for name, value in environ.items()
        if name.startswith("HTTP_") and isinstance(value, str)
    ]


def asgi_fields(scope: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """The header fields, one element for each field line."""
    return [(name.decode("latin-1"), value) for name, value in scope["headers"]]


def completed(present: Iterable[str], added: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The fields that an admitted request is answered with besides those of the application, whose names are `present`."""
    names = {name.lower() for name in present}
    # An application that says how its answer is cached has said so knowingly; all else with a nonce is not cached.
    return [(name, value) for name, value in added if name.lower() != "cache-control" or "cache-control" not in names]


def check_process(server: Resource, environ: Mapping[str, Any]) -> None:
    """Raises :class:`Misuse` where proofs are remembered in memory that other processes do not see."""
    if not isinstance(server.store, MemoryReplayStore):
        return
    if server.store.was_forked:
        raise Misuse("forked", FORKED)
    # Only WSGI servers say so; what their command line says was looked at when the store was made.
    if not server._alone and environ.get("wsgi.multiprocess"):
        raise Misuse("several_workers", SEVERAL_WORKERS)


def refuse_route(server: Resource, refused: Refused, method: str, told: Told) -> Refusal:
    """The answer to a request that must not be routed. A mount point that was not configured is a mistake of the application as often as
    an attack, so it is logged: once, because anyone can send such requests.
    """
    if refused.reason == "mount_path_mismatch" and not server._has_warned:
        server._has_warned = True
        stated = told.mount_path[:PATH_SHOWN].decode("latin-1")
        log.warning(MOUNT_PATH, stated, server.mount_path)
    log_refusal(refused.refusal, method, told.raw or told.whole)
    return refused.refusal
