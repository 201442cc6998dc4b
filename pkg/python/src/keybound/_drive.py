"""Driving the core's flows: a generator that stops wherever the network, others or time are waited for."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal

from . import _keybound
from ._types import Protection
from .errors import KeyboundError, LoginRequired, translated
from .keys import Signer, signed
from .sessions import KeyFault, SessionStore
from .transport import HttpRequest, HttpResponse, NotSent

__all__ = ["Clock", "Fetch", "Finished", "OwnBody", "Pause", "TakeLock", "Wait", "Work", "drive"]

#: Whole seconds since 1970.
Clock = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Fetch:
    """Send this request, and send back a :class:`HttpResponse`."""

    request: HttpRequest


@dataclass(frozen=True, slots=True)
class OwnBody:
    """Send the caller's own request with these fields, and send back its status and fields.

    Its body goes along, unless `body` is `empty`: a redirect may have made a `GET` of it.
    """

    request: HttpRequest
    body: Literal["empty", "repeatable", "one_shot"]


@dataclass(frozen=True, slots=True)
class TakeLock:
    """Take this lock, and send back what gives it back: an entered context manager."""

    name: str
    lease: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait this many seconds, which may be a fraction, and send back nothing."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Work:
    """Call this, which may block (keys, storage), and send back what it gives."""

    call: Callable[[], Any]


Pause = Fetch | OwnBody | TakeLock | Wait | Work


@dataclass(frozen=True, slots=True)
class Finished:
    """What a flow came to. The result of a token exchange is a token."""

    result: dict[str, Any] = field(repr=False)
    discovered: _keybound.NativeDiscovered | None
    session: _keybound.NativeSession | None
    device: _keybound.NativeDevice | None


def system_clock() -> int:
    """The system's time."""
    return int(time.time())


def drive(
    begin: Callable[[int], _keybound.NativeFlow], store: SessionStore, clock: Clock = system_clock
) -> Generator[Pause, Any, Finished]:
    """Runs a flow to its end.

    What is thrown into the generator is the host's failure: it ends the flow as the core decides, and reaches the caller if the flow
    ends because of it. Locks are given back whatever happens.
    """
    held: dict[str, AbstractContextManager[object]] = {}
    fault: BaseException | None = None
    try:
        flow = begin(clock())
        step = json.loads(flow.step())
        while step["step"] != "done":
            try:
                reply = yield from _answer(step, store, held)
            except Exception as failure:
                fault = failure.__cause__ or failure if isinstance(failure, NotSent) else failure
                reply = _failure(step, failure)
            step = json.loads(flow.resume(json.dumps(reply), clock()))
        return Finished(step["result"], flow.discovered(), flow.session(), flow.device())
    except _keybound.NativeError as native:
        error = translated(native)
        if fault is not None and _is_of_host(error):
            raise fault from None
        if fault is not None and isinstance(error, LoginRequired):
            raise error from fault
        raise error from None
    finally:
        for lock in held.values():
            lock.__exit__(None, None, None)


def _is_of_host(error: KeyboundError) -> bool:
    return error.reason in ("host", "key_unreadable")


def _answer(
    step: dict[str, Any], store: SessionStore, held: dict[str, AbstractContextManager[object]]
) -> Generator[Pause, Any, dict[str, Any]]:
    kind = step["step"]
    if kind == "fetch":
        response: HttpResponse = yield _request(step)
        headers = [[name, value.decode("latin-1")] for name, value in response.headers]
        body = response.body.decode("latin-1")
        return {"response": {"status": response.status, "headers": headers, "body": body}}
    if kind == "sign":
        signing = step["message"].encode("latin-1"), step.get("digest")
        digest = None if signing[1] is None else signing[1].encode("latin-1")
        signature = yield Work(lambda: signed(store.signer(step["thumbprint"]), signing[0], digest))
        return {"signature": signature.value.decode("latin-1"), "encoding": signature.encoding}
    if kind == "create_key":
        places = [Protection(place) for place in step["protections"]]
        key: Signer = yield Work(lambda: store.create_key(step["algorithms"], places))
        made = {"public_jwk": dict(key.public_jwk), "algorithm": key.algorithm, "protection": key.protection.value}
        return {"key": made}
    if kind == "load":
        stored = yield Work(lambda: store.load(step["slot"]))
        return {"stored": None if stored is None else {"version": stored.version, "value": stored.value}}
    if kind == "save":
        expected, version, value = step.get("expected"), step["version"], step.get("value")
        saved = yield Work(lambda: store.save(step["slot"], expected=expected, version=version, value=value))
        return {"saved": saved is True}
    if kind == "delete_key":
        yield Work(lambda: store.delete_key(step["thumbprint"]))
    elif kind == "lock":
        held[step["lock"]] = yield TakeLock(step["lock"], step["lease"])
    elif kind == "unlock":
        lock = held.pop(step["lock"], None)
        if lock is not None:
            lock.__exit__(None, None, None)
    else:
        yield Wait(step["milliseconds"] / 1000)
    return {"ok": True}


def _request(step: dict[str, Any]) -> Fetch | OwnBody:
    content = step.get("content")
    request = HttpRequest(
        method=step["method"],
        url=step["url"],
        headers=tuple((name, value) for name, value in step["headers"]),
        body=None if content is None else content.encode("latin-1"),
        max_body=step.get("max_body"),
        timeout=step.get("timeout"),
    )
    # What the core reads itself is fetched; the caller's own request is sent by whoever has its body.
    return Fetch(request) if request.max_body is not None else OwnBody(request, step["body"])


def _failure(step: dict[str, Any], failure: Exception) -> dict[str, Any]:
    text = str(failure) or type(failure).__name__
    if step["step"] == "sign" and isinstance(failure, KeyFault):
        if failure.fault == "missing":
            return {"key_missing": True}
        return {"key_changed": True} if failure.fault == "changed" else {"key_unreadable": text}
    if step["step"] == "fetch" and isinstance(failure, NotSent):
        return {"not_sent": text}
    if step["step"] == "wait":
        raise failure
    return {"failed": text}
