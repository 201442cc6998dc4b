"""What the middleware of all frameworks shares: the raw target, the header fields, the fields of an answer."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote_from_bytes

from .errors import Misuse
from .stores import MemoryReplayStore

log = logging.getLogger("keybound")

EXPOSED: Final = ("Access-Control-Expose-Headers", "WWW-Authenticate, DPoP-Nonce, Date")

METADATA_FIELDS: Final = (("Content-Type", "application/json"), ("Access-Control-Allow-Origin", "*"))

NO_RAW_PATH: Final = (
    "this server tells applications the decoded path alone, in which %2F and / are the same, so that a proof for one path would open "
    "another; use one that passes the raw path on (uvicorn, hypercorn, gunicorn, uWSGI, mod_wsgi), or take the risk by "
    "danger_decoded_path=True"
)

SEVERAL_WORKERS: Final = (
    "this application runs in several worker processes, which would each remember proofs for themselves, so that one proof is good once "
    "for each of them; give store= one that they share and nonce keys with it, or run one worker"
)

FORKED: Final = (
    "this process was forked after the application had made its memory store, which the other process has as well; let the workers "
    "make the application (gunicorn without --preload), or give store= one that they share"
)


def wsgi_target(environ: Mapping[str, Any], *, danger_decoded_path: bool) -> bytes:
    """The request target as received.

    WSGI has no name for it: gunicorn and Werkzeug call it `RAW_URI`, uWSGI, mod_wsgi and waitress `REQUEST_URI`. Clients cannot set
    either, for their fields arrive as `HTTP_…`.
    """
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if isinstance(raw, str) and raw:
        return raw.encode("latin-1", "replace")
    if not danger_decoded_path:
        raise Misuse("decoded_path", NO_RAW_PATH)
    path = str(environ.get("SCRIPT_NAME", "")) + str(environ.get("PATH_INFO", ""))
    return _encoded(path.encode("latin-1", "replace"), str(environ.get("QUERY_STRING", "")).encode("latin-1", "replace"))


def asgi_target(scope: Mapping[str, Any], *, danger_decoded_path: bool) -> bytes:
    """The request target as received, from `raw_path`, which ASGI leaves to servers to give."""
    raw, query = scope.get("raw_path"), bytes(scope.get("query_string", b""))
    if isinstance(raw, bytes) and raw:
        return raw + b"?" + query if query and b"?" not in raw else raw
    if not danger_decoded_path:
        raise Misuse("decoded_path", NO_RAW_PATH)
    return _encoded(str(scope["path"]).encode(), query)


def _encoded(path: bytes, query: bytes) -> bytes:
    """A decoded path, encoded again as well as can be."""
    target = quote_from_bytes(path, safe="/:@!$&'()*+,;=~").encode()
    return target + b"?" + query if query else target


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
    fields = [(name, value) for name, value in added if name.lower() != "cache-control" or "cache-control" not in names]
    return fields if any(name.lower() == EXPOSED[0].lower() for name, _ in fields) else [*fields, EXPOSED]


def check_process(store: object, workers: int | None, environ: Mapping[str, Any]) -> None:
    """Raises :class:`Misuse` where proofs are remembered in memory that other processes do not see."""
    if not isinstance(store, MemoryReplayStore):
        return
    if store.was_forked:
        raise Misuse("forked", FORKED)
    # Only WSGI servers say so; what their command line says was looked at when the store was made.
    if workers != 1 and environ.get("wsgi.multiprocess"):
        raise Misuse("several_workers", SEVERAL_WORKERS)
