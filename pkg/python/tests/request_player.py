"""Plays requests to a server back: the same events give the same steps and the same ends (tests/vectors/README.md)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from keybound import Incoming, KeyboundError, _keybound
from request_driver import Clock, Driven

_Begun = _keybound.Flow | Driven


class Server:
    """The server of a vector, and the flows of its requests."""

    def __init__(self, vector: dict[str, Any], *, driven: bool = False) -> None:
        verifier, store = json.dumps(vector["verifier"]), vector.get("store")
        if "authorization" in vector:
            self._endpoints = _keybound.AuthorizationServer(json.dumps(vector["authorization"] | vector["verifier"]))
        elif store is None:
            self._server = _keybound.ResourceServer(json.dumps(vector["resource"]), verifier)
        else:
            memory = _keybound.MemoryStore(store["capacity"], verifier, store["floor"])
            self._server = _keybound.ResourceServer.with_store(json.dumps(vector["resource"]), verifier, memory)
        # With it, Python's own driver carries the flows out.
        self._clock = Clock() if driven else None
        self._flows: dict[str, list[_Begun]] = {}
        self._principals: dict[str, _keybound.Principal] = {}

    def play(self, events: list[dict[str, Any]]) -> None:
        """Plays all events."""
        for number, event in enumerate(events):
            seen = self.perform(event)
            assert seen == event["seen"], f"event {number}: {event['do']} {event.get('as', event.get('of'))}"

    def perform(self, event: dict[str, Any]) -> Any:
        """Carries out one event, and gives what is seen then."""
        now, of = event["now"], event.get("of", "")
        if self._clock is not None:
            self._clock.now = now
        match event["do"]:
            case "admit" if "proofs" in event:
                asked, proofs = json.dumps(event["request"]), event["proofs"]
                return self._begin(event, lambda: self._endpoints.admit(asked, proofs, now))
            case "admit" | "check" as what:
                begin, request = getattr(self._server, what), event["request"]
                return self._begin(event, lambda: begin((incoming(request), request.get("epoch"), None), now))
            case "carry_out":
                method, url, body = event["method"], event["url"], event["body"].encode()
                return self._begin(event, lambda: self._principals[of].carry_out(method, url, body, now))
            case "task":
                task = self._flows[of][0].task(now)
                return None if task is None else self._keep(event, [task])
            case "resume":
                reply = json.dumps(event["reply"])
                return same(self._seen(of, flow, partial(flow.resume, reply, now)) for flow in self._flows[of])
            case "abandon":
                for flow in self._flows[of]:
                    flow.abandon()
                return None
            case "require_scopes":
                refused = self._principals[of].require_scopes(event["scopes"])
                return refused and json.loads(refused)
            case "refuse_revoked":
                return json.loads(self._principals[of].refuse_revoked())
            case "route":
                parts = (event[name].encode("latin-1") for name in ("mount_path", "path"))
                return json.loads(self._server.route(event["target"], *parts))
        raise AssertionError(event["do"])

    def _begin(self, event: dict[str, Any], begin: Callable[[], _keybound.Flow]) -> Any:
        clock = self._clock
        try:
            begun = [begin() if clock is None else Driven.begin(clock, begin) for _ in range(event.get("times", 1))]
        except _keybound.NativeError as error:
            return {"error": json.loads(error.args[0])["reason"]}
        return self._keep(event, begun)

    def _keep(self, event: dict[str, Any], begun: Sequence[_Begun]) -> Any:
        name = event["as"]
        self._flows[name] = list(begun)
        return same(self._seen(name, flow, flow.step) for flow in begun)

    def _seen(self, name: str, flow: _Begun, step: Callable[[], str]) -> Any:
        """A step as vectors show it. Pauses between attempts are random, and shorter than a second."""
        try:
            seen = json.loads(step())
        except _keybound.NativeError as error:
            return {"error": json.loads(error.args[0])["reason"]}
        except KeyboundError as error:
            return {"error": error.reason}
        except OSError:
            # The host's own error comes out as it is; the core calls it the host's.
            return {"error": "host"}
        if principal := flow.principal():
            self._principals[name] = principal
        return {"step": "wait", "below": 1} if seen.get("milliseconds", 1000) < 1000 else seen


def incoming(request: dict[str, Any]) -> Incoming:
    """The request of an event."""
    certificate, target = request.get("certificate"), request.get("target")
    return Incoming(
        method=request["method"],
        headers=[(name, value.encode("latin-1")) for name, value in request["fields"]],
        url=request.get("url"),
        target=None if target is None else target.encode("latin-1"),
        peer=request.get("peer"),
        certificate=None if certificate is None else base64.urlsafe_b64decode(certificate + "="),
    )


def same(seen: Iterable[Any]) -> Any:
    """What all of them see."""
    first, *others = seen
    assert all(other == first for other in others)
    return first
