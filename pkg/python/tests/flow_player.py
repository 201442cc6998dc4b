"""Plays transcripts of flows back through a client: keys, store, locks and clock are the player's, answers the transcript's."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flow_names import Names, part
from keybound import Client, Credentials, Key, KeyboundError, KeyFault, Protection, Session, SharedKey, Signature, Stored
from keybound._drive import Fetch, Finished, OwnBody, TakeLock, Wait, Work
from keybound.transport import HttpResponse, NotSent

#: Operations that are told their session by handle.
BY_SESSION = ("keep", "refresh", "rekey", "revoke", "end", "call", "step_up", "introspect")


class HostKey:
    """A key that claims to live wherever the transcript says, and tells the host of each signature."""

    def __init__(self, host: Host, key: Key, protection: Protection) -> None:
        self._host, self._key, self.protection = host, key, protection
        self.algorithm, self.public_jwk, self.thumbprint = key.algorithm, key.public_jwk, key.thumbprint

    def sign(self, message: bytes, digest: bytes | None) -> Signature:
        """Signs, and notes what for."""
        purpose = "proof" if part(message.decode(), 0)["typ"] == "dpop+jwt" else "clientassertion"
        self._host.note("sign", key=self._host.names.hide(self.thumbprint), **{"for": purpose})
        return self._key.sign(message, digest)


class Host:
    """A session store in memory that notes every step, and a clock that stands still."""

    def __init__(self, begin: int, protection: str) -> None:
        self.now, self.protection, self.names = begin, Protection(protection), Names()
        self.is_ring = False
        self.active: HostKey | None = None
        self.steps: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any] | str | None] = []
        self.held: set[str] = set()
        self._keys: dict[str, HostKey] = {}
        self._slots: dict[str, Stored] = {}

    def note(self, step: str, **rest: Any) -> None:
        """Notes a step."""
        self.steps.append({"step": step, **rest})

    def new_key(self, algorithms: Sequence[str]) -> HostKey:
        """A key of the host's own choice."""
        key = Key.generate(next(name for name in ("ES256", "Ed25519") if name in algorithms))
        self.names.key(key.thumbprint)
        self._keys[key.thumbprint] = HostKey(self, key, self.protection)
        return self._keys[key.thumbprint]

    def create_key(self, algorithms: Sequence[str], protections: Sequence[Protection]) -> HostKey | SharedKey:
        self.note("create_key", algorithms=list(algorithms), protections=[place.value for place in protections])
        if not self.is_ring:
            return self.new_key(algorithms)
        self.active = self.active or self.new_key(algorithms)
        return SharedKey(self.active)

    def signer(self, thumbprint: str) -> HostKey:
        if thumbprint not in self._keys:
            raise KeyFault("missing")
        return self._keys[thumbprint]

    def delete_key(self, thumbprint: str) -> None:
        self.note("delete_key", key=self.names.hide(thumbprint))
        del self._keys[thumbprint]

    def load(self, slot: str) -> Stored | None:
        self.note("load", slot=self.names.hide(slot))
        return self._slots.get(slot)

    def save(self, slot: str, *, expected: int | None, version: int, value: str | None) -> bool:
        shown = f"login/{self.names.name('state', slot[6:])}" if slot.startswith("login/") else slot
        self.note("save", slot=shown, action="delete" if value is None else "store", new=expected is None)
        stored = self._slots.get(slot)
        if (stored.version if stored else None) != expected:
            return False
        if value is None:
            del self._slots[slot]
        else:
            self._slots[slot] = Stored(version, value)
        return True

    @contextlib.contextmanager
    def lock(self, name: str, lease: int) -> Iterator[None]:
        self.note("lock", lock=self.names.hide(name), lease=lease)
        assert name not in self.held, f"{name} is locked twice"
        self.held.add(name)
        try:
            yield
        finally:
            self.note("unlock", lock=self.names.hide(name))
            self.held.remove(name)

    def answer(self, pause: Any) -> Any:
        """What a pause of a flow is answered."""
        match pause:
            case Fetch(request):
                self.note("fetch", request=self.names.request(request, None))
                return self._next_answer()
            case OwnBody(request, body):
                self.note("fetch", request=self.names.request(request, body))
                return self._next_answer()
            case TakeLock(name, lease):
                lock = self.lock(name, lease)
                lock.__enter__()
                return lock
            case Wait(seconds):
                self.note("wait", **({"below": 1} if seconds < 1 else {"seconds": seconds}))
                self.now += int(seconds)
                return None
            case Work(call):
                return call()
        raise AssertionError(pause)

    def _next_answer(self) -> HttpResponse:
        assert self.answers, "the transcript has no further answer"
        answer = self.answers.pop(0)
        if answer == "not_sent":
            raise NotSent from ConnectionRefusedError("connection refused")
        if answer is None:
            raise ConnectionRefusedError("connection refused")
        body = answer.get("body", "")
        text = body if isinstance(body, str) else self.names.show(json.dumps(body, ensure_ascii=False), "key-")
        fields = answer.get("fields", {}).items()
        lines = [(name, line) for name, value in fields for line in (value if isinstance(value, list) else [value])]
        headers = tuple((name, self.names.show(line, "key-").encode()) for name, line in lines)
        return HttpResponse(status=answer["status"], headers=headers, body=text.encode())


class Player:
    """A client in the middle of a transcript."""

    def __init__(self, vector: Mapping[str, Any]) -> None:
        config = dict(vector["client"])
        self.host = Host(vector["begin"], config.pop("protection", "software"))
        is_ring = config.pop("ring", False)
        known = []
        for given in config.pop("credentials", []):
            if given.get("method") == "private_key_jwt":
                key = self.host.new_key(["ES256"])
                given = {**given, "public_jwk": key.public_jwk, "algorithm": key.algorithm, "key_id": "client-key"}
            known.append(Credentials(**given))
        self.client = Client(store=self.host, clock=lambda: self.host.now, credentials=known, **config)
        self.host.is_ring = is_ring
        self._discovered: Any = None
        self._device: Any = None
        self._sessions: dict[str, Session] = {}

    def play(self, turn: Mapping[str, Any]) -> None:
        """Does one operation, and compares every step and the outcome."""
        host, operation = self.host, turn["operation"]
        host.steps, host.answers = [], [step["answer"] for step in turn["steps"] if step["step"] == "fetch"]
        try:
            outcome = self._perform(dict(operation))
        except KeyboundError as error:
            outcome = {"error": error.reason}
        except ConnectionRefusedError:
            # The network's own error comes out as it is; the core calls it the host's.
            outcome = {"error": "host"}
        expected = [{name: value for name, value in step.items() if name != "answer"} for step in turn["steps"]]
        assert host.steps[: len(expected)] == expected, operation
        # Locks that a failed flow held are given back without a step of the core.
        assert all(step["step"] == "unlock" for step in host.steps[len(expected) :]), host.steps[len(expected) :]
        assert outcome == turn["outcome"], operation
        assert not host.held, "a flow that ended holds no lock"
        assert not host.answers, "every answer was asked for"

    def _perform(self, operation: dict[str, Any]) -> dict[str, Any]:
        what, name = operation["do"], operation.get("session")
        if what == "wait":
            self.host.now += operation["seconds"]
            return {}
        if what == "rotate":
            self.host.active = None
            return {}
        session = self._sessions.get(name) if name else None
        if what == "look" and session is not None:
            subject = session.subject
            members = {member: session.member(member) for member in operation.get("members", ())}
            return {"subject": subject and {"issuer": subject.issuer, "sub": subject.sub}, "members": members}
        by_handle = session is not None and (what in BY_SESSION or operation.get("again") is True)
        if by_handle:
            del operation["session"]
        else:
            operation.pop("again", None)
        if what == "introspect" and session is not None:
            operation["token"] = session.danger_access_token()
        if "callback" in operation:
            operation["callback"] = self.host.names.show(operation["callback"])
        flow = self.client.flow(
            operation,
            discovered=self._discovered,
            session=session.native if session is not None and by_handle else None,
            device=self._device,
        )
        done = self._drive(flow)
        return self._outcome(what, done, session)

    def _drive(self, flow: Any) -> Finished:
        try:
            pause = next(flow)
            while True:
                try:
                    answer = self.host.answer(pause)
                except AssertionError:
                    raise
                except Exception as failure:
                    pause = flow.throw(failure)
                else:
                    pause = flow.send(answer)
        except StopIteration as done:
            finished: Finished = done.value
            return finished

    def _outcome(self, what: str, done: Finished, session: Session | None) -> dict[str, Any]:
        told = done.result
        match told["kind"]:
            case "discovered":
                self._discovered = done.discovered
                return {"issuer": told["issuer"], "resource": told.get("resource")}
            case "authorization":
                url, _, query = told["url"].partition("?")
                return {"url": url, "query": self.host.names.form(query), "pushed": told["pushed"]}
            case "session":
                assert done.session is not None
                made = Session(done.session)
                self._sessions[made.name] = made
                return self._shown(made)
            case "device":
                self._device = done.device
                return {"user_code": told["user_code"], "verification_uri": told["verification_uri"]}
            case "issued":
                return {"token": told["token"], "token_type": told["token_type"]}
            case "claims":
                claims: dict[str, Any] = json.loads(self.host.names.hide(json.dumps(told["claims"])))
                return claims
            case "ended":
                return {"revoked": told["revoked"]}
            case "answer":
                demand = told.get("demand") or {}
                said = {"step_up": demand["scope"]} if demand.get("do") == "step_up" else demand.get("do")
                ignored = {"ignored_challenge": True} if "ignored_challenge" in told else {}
                return {"status": told["status"], "url": told["url"], "demand": said, **ignored}
        assert told["kind"] == "nothing"
        return self._shown(session) if what in ("refresh", "rekey") and session is not None else {}

    def _shown(self, session: Session) -> dict[str, Any]:
        return {
            "session": session.name,
            "level": session.level.value,
            "issuer": session.issuer,
            "resource": session.resource,
            "scope": session.scope,
            "key": None if session.thumbprint is None else self.host.names.hide(session.thumbprint),
            "access_token": session.danger_access_token(),
            "expires_at": session.expires_at,
        }
