"""Flows as Python itself runs them, with the methods of the native one: what they stop at is what the core asks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from keybound import HttpResponse, Inserted, Insertion, ReplayEntry, _keybound
from keybound._drive import Call, Fetch, Finished, Flow, Pause, Share, Wait, drive


class Clock:
    """What all flows of a server share: the time of the present event, and a store that is told of entries."""

    now = 0
    epoch = "0"
    entry: ReplayEntry | None = None

    def insert(self, entry: ReplayEntry, *, now: int) -> None:
        """Remembers the entry for the vector, which answers later."""
        self.entry = entry


class Driven:
    """A flow that Python's driver carries out."""

    def __init__(self, clock: Clock, flow: Flow[Finished]) -> None:
        self._clock, self._flow = clock, flow
        self._pause: Pause | None = None
        self._finished: Finished | None = None

    @classmethod
    def begin(cls, clock: Clock, begin: Callable[[], _keybound.Flow]) -> Driven:
        """A flow that the driver has yet to begin."""
        return cls(clock, drive(lambda _: begin(), clock, lambda: clock.now))

    def step(self) -> str:
        """Begins it."""
        return self._until(partial(next, self._flow))

    def resume(self, reply: str, now: int) -> str:
        """Answers what it stopped at."""
        answer: Any = None
        match json.loads(reply):
            case {"failed": text}:
                return self._until(partial(self._flow.throw, OSError(text)))
            case {"response": told}:
                headers = tuple((name, value.encode("latin-1")) for name, value in told["headers"])
                answer = HttpResponse(status=told["status"], headers=headers, body=told["body"].encode("latin-1"))
            case {"inserted": told}:
                answer = Inserted(Insertion(told["insertion"]), told["epoch"])
        return self._until(partial(self._flow.send, answer))

    def task(self, now: int) -> Driven | None:
        """The work that it brought, if another has not brought it."""
        assert isinstance(self._pause, Share)
        return None if self._pause.work is None else Driven(self._clock, self._pause.work)

    def abandon(self) -> None:
        """Gives it up."""
        self._flow.close()

    def principal(self) -> _keybound.Principal | None:
        """Whom it admitted."""
        return None if self._finished is None else self._finished.principal

    def _until(self, go_on: Callable[[], Pause]) -> str:
        """Goes on until it stops, and shows where."""
        try:
            self._pause = go_on()
        except StopIteration as done:
            self._finished = done.value
            return json.dumps({"step": "done", "result": done.value.result})
        return json.dumps(self._shown(self._pause))

    def _shown(self, pause: Pause) -> dict[str, Any]:
        match pause:
            case Fetch(request):
                shown = {"step": "fetch", "method": request.method, "url": request.url, "headers": request.headers, "body": "empty"}
                if request.body is not None:
                    shown |= {"body": "bytes", "content": request.body.decode("latin-1")}
                return {**shown, "max_body": request.max_body, "timeout": request.timeout}
            case Wait(seconds):
                return {"step": "wait", "milliseconds": seconds * 1000}
            case Share(name, timeout):
                return {"step": "share", "name": name, "timeout": timeout}
            case Call(call):
                call()
                assert self._clock.entry is not None
                return {"step": "insert", "entry": entry_of(self._clock.entry)}
        raise AssertionError(pause)


def entry_of(entry: ReplayEntry) -> dict[str, Any]:
    """An entry as vectors show it."""
    shown = {name: getattr(entry, name) for name in ("thumbprint", "timed_at", "max_ahead", "expires_at", "keep_until", "nonce_epoch")}
    shown |= {name: getattr(entry, name).decode("latin-1") for name in ("key", "agreement")}
    return {name: value for name, value in shown.items() if value is not None}
