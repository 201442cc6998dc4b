"""Driving the core's flows, those of clients and of servers: a generator that stops wherever something is waited for."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from . import _keybound
from ._types import Insertion, Protection
from .errors import NATIVE, KeyboundError, LoginRequired, translated
from .keys import Signer, signed
from .sessions import KeyFault, SessionStore, SharedKey
from .stores import ReplayEntry, inserted_by
from .transport import HttpRequest, HttpResponse, NotSent, Transport

__all__ = ["Blocking", "Call", "Clock", "Fetch", "Finished", "Flow", "OwnBody", "Pause", "Share", "TakeLock", "Wait", "Work", "Works", "drive"]

log = logging.getLogger("keybound")
T = TypeVar("T")
#: Whole seconds since 1970.
Clock = Callable[[], int]
#: How long a flow waits that came between another's turn and the start of its work, in seconds.
MOMENT = 0.005
#: How many threads a server has for work that requests share. It needs no more unless its transport ignores time-outs.
THREADS = 128


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
    """Take this lock of `store`, and send back what gives it back: an entered context manager."""

    name: str
    lease: int
    store: SessionStore


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait this many seconds, which may be a fraction, and send back nothing."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Work:
    """Call this, which may block (keys, storage), and send back what it gives."""

    call: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Call:
    """Call this in place, await what it gives where that can be awaited, and send that back."""

    call: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Share:
    """Begin `work`, if this flow brings it, beside all flows. Send back nothing when the work of this name has ended.

    It ends after `timeout` seconds at the latest, by `abandon`, and no one waits longer.
    """

    name: str
    timeout: int
    work: Flow[Finished] | None
    abandon: Callable[[], None]


Pause = Fetch | OwnBody | TakeLock | Wait | Work | Call | Share
Flow = Generator[Pause, Any, T]


@dataclass(frozen=True, slots=True)
class Finished:
    """What a flow came to. The result of a token exchange is a token."""

    result: dict[str, Any] = field(repr=False)
    discovered: _keybound.Discovered | None
    session: _keybound.Session | None
    device: _keybound.Device | None
    principal: _keybound.Principal | None = None
    record: Callable[[str | None, int, int], str | None] | None = None
    """The audit record of a server's decision, for the route, the microseconds it took, and the time."""


def system_clock() -> int:
    """The system's time."""
    return int(time.time())


def drive(
    begin: Callable[[int], _keybound.Flow], store: Any, clock: Clock = system_clock
) -> Flow[Finished]:
    """Runs a flow to its end: a client's with its session store, a server's with its replay store.

    What is thrown into the generator is the host's failure: it ends the flow as the core decides, and reaches the caller if the flow
    ends because of it. Locks are given back whatever happens.
    """
    held: dict[str, AbstractContextManager[object]] = {}
    fault: BaseException | None = None
    flow: _keybound.Flow | None = None
    try:
        flow = begin(clock())
        step = json.loads(flow.step())
        while step["step"] != "done":
            try:
                reply = yield from _answer(flow, step, store, clock, held)
            except Exception as failure:
                fault = failure.__cause__ or failure if isinstance(failure, NotSent) else failure
                reply = _failure(step, failure)
            step = json.loads(flow.resume(json.dumps(reply), clock()))
        return Finished(step["result"], flow.discovered(), flow.session(), flow.device(), flow.principal(), flow.record)
    except NATIVE as native:
        error = translated(native)
        if fault is not None and _is_of_host(error):
            # With the cause that it has.
            raise fault from fault.__cause__
        if fault is not None and isinstance(error, LoginRequired):
            raise error from fault
        raise error from None
    finally:
        if flow is not None:
            # Now, and not when the last traceback that knows it is gone: it may hold a place among those who wait.
            flow.abandon()
        for lock in held.values():
            lock.__exit__(None, None, None)


def _is_of_host(error: KeyboundError) -> bool:
    return error.reason in ("host", "key_unreadable")


def _answer(
    flow: _keybound.Flow, step: dict[str, Any], store: Any, clock: Clock, held: dict[str, AbstractContextManager[object]]
) -> Flow[dict[str, Any]]:
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
        key: Signer | SharedKey = yield Work(lambda: store.create_key(step["algorithms"], places))
        shared = isinstance(key, SharedKey)
        signer = key.signer if isinstance(key, SharedKey) else key
        made = {"public_jwk": dict(signer.public_jwk), "algorithm": signer.algorithm, "protection": signer.protection.value}
        return {"key": {**made, "shared": shared}}
    if kind == "load":
        stored = yield Work(lambda: store.load(step["slot"]))
        return {"stored": None if stored is None else {"version": stored.version, "value": stored.value}}
    if kind == "save":
        expected, version, value = step.get("expected"), step["version"], step.get("value")
        saved = yield Work(lambda: store.save(step["slot"], expected=expected, version=version, value=value))
        return {"saved": saved is True}
    if kind == "insert":
        return {"inserted": (yield from _inserted(flow, store, clock))}
    if kind == "share":
        task = _task(flow, clock)
        work = None if task is None else drive(lambda _: task, store, clock)
        yield Share(step["name"], step["timeout"], work, (task or flow).abandon)
    elif kind == "delete_key":
        yield Work(lambda: store.delete_key(step["thumbprint"]))
    elif kind == "lock":
        held[step["lock"]] = yield TakeLock(step["lock"], step["lease"], store)
    elif kind == "unlock":
        lock = held.pop(step["lock"], None)
        if lock is not None:
            lock.__exit__(None, None, None)
    else:
        yield Wait(step["milliseconds"] / 1000)
    return {"ok": True}


def _inserted(flow: _keybound.Flow, store: Any, clock: Clock) -> Flow[dict[str, str]]:
    entry = flow.entry()
    assert entry is not None
    try:
        answer = yield Call(lambda: store.insert(ReplayEntry(entry), now=clock()))
    except KeyboundError:
        raise
    except Exception as failure:
        log.warning("the replay store failed: %s", failure)
        answer = Insertion.UNAVAILABLE
    inserted = inserted_by(store, answer)
    return {"insertion": inserted.insertion.value, "epoch": inserted.epoch}


def _task(flow: _keybound.Flow, clock: Clock) -> _keybound.Flow | None:
    try:
        return flow.task(clock())
    except _keybound.NativeError as error:
        log.warning("a question to an authorization server failed: %s", translated(error))
        return None


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
    if step["step"] in ("wait", "share", "insert"):
        raise failure
    return {"failed": text}


def with_body(request: HttpRequest, body: bytes | None) -> HttpRequest:
    """The caller's own request with its body."""
    url, headers, timeout = request.url, request.headers, request.timeout
    return HttpRequest(method=request.method, url=url, headers=headers, body=body, timeout=timeout)


class Works:
    """Work under way that the flows of one server share, by name. It belongs to none of them: one that is given up leaves it running."""

    def __init__(self) -> None:
        self._ends: dict[str, Future[None]] = {}
        self._guard = threading.Lock()
        self.threads = threading.Semaphore(THREADS)

    def end_of(self, name: str) -> Future[None] | None:
        """What is done when the work of this name has ended; none, if none is under way."""
        return self._ends.get(name)

    def begin(self, share: Share) -> Callable[[BaseException | None], None]:
        """Lets others wait for this work. What it gives is called when it has ended, with the failure if there was one; once counts."""
        end: Future[None] = Future()
        # From now on no one who waits can cancel it.
        end.set_running_or_notify_cancel()
        with self._guard:
            self._ends[share.name] = end
        once = threading.Lock()

        def ended(failure: BaseException | None = None) -> None:
            if not once.acquire(blocking=False):
                return
            if failure is not None:
                log.warning("a question to an authorization server failed: %s", str(failure) or type(failure).__name__)
            share.abandon()
            with self._guard:
                # Another work of this name may have begun since this one was abandoned.
                if self._ends.get(share.name) is end:
                    del self._ends[share.name]
            end.set_result(None)

        return ended


class Blocking:
    """Answers the pauses of flows on the caller's thread."""

    _transport: Transport
    _works: Works

    def _run(self, flow: Flow[T], body: bytes | None = None, kept: list[HttpResponse] | None = None) -> T:
        """Drives a flow to its end."""
        try:
            pause = next(flow)
            while True:
                try:
                    answer = self._answer(pause, body, kept)
                except Exception as failure:
                    pause = flow.throw(failure)
                else:
                    pause = flow.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            # Interrupted in the middle: locks are given back now, and not when the garbage is collected.
            flow.close()

    def _answer(self, pause: Pause, body: bytes | None = None, kept: list[HttpResponse] | None = None) -> Any:
        match pause:
            case Fetch(request):
                return self._transport.send(request)
            case OwnBody(request, kind):
                answer = self._transport.send(with_body(request, None if kind == "empty" else body))
                if kept is not None:
                    kept.append(answer)
                return HttpResponse(status=answer.status, headers=answer.headers)
            case TakeLock(name, lease, store):
                lock = store.lock(name, lease)
                lock.__enter__()
                return lock
            case Wait(seconds):
                threading.Event().wait(seconds)
            case Work(call) | Call(call):
                return call()
            case Share():
                self._share(pause)
        return None

    def _share(self, share: Share) -> None:
        if share.work is not None:
            self._begin(share, share.work)
        end = self._works.end_of(share.name)
        if end is None:
            time.sleep(MOMENT)
            return
        with contextlib.suppress(Late):
            end.result(share.timeout)

    def _begin(self, share: Share, work: Flow[Finished]) -> None:
        ended, threads = self._works.begin(share), self._works.threads
        late = threading.Timer(share.timeout, ended, (TimeoutError(f"there was no answer in {share.timeout} s"),))

        def working() -> None:
            try:
                self._run(work)
            except Exception as failure:
                ended(failure)
            finally:
                late.cancel()
                threads.release()
                ended(None)

        if not threads.acquire(blocking=False):
            ended(OSError("all threads wait for answers; the transport ignores its time-outs"))
            return
        late.daemon = True
        try:
            late.start()
            threading.Thread(target=working, name="keybound-shared", daemon=True).start()
        except RuntimeError as failure:
            # The system has no thread left. Whatever else is raised here is meant for the caller, and the work may have begun.
            late.cancel()
            threads.release()
            ended(failure)
