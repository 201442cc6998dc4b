"""What the two replay stores in Redis share: their options, the core's state in each process, and what they tell of themselves."""

from __future__ import annotations

import json
import logging
import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypedDict

from . import _keybound
from ._options import check_known, flag, one, text, whole
from ._redis_client import Place, Refused, error_of, library_of
from ._types import Insertion
from .errors import NATIVE, Misuse, Reason, translated
from .policy import Policy
from .stores import Inserted, ReplayEntry

if TYPE_CHECKING:
    from typing_extensions import Required

__all__ = ["CONNECT", "LIMITS", "TURNS", "Asking", "Process", "RedisFault", "RedisOptions", "RedisStatus", "_Store", "inserted"]

log = logging.getLogger("keybound")
#: How a store is driven, the same in every language.
LIMITS: Final[dict[str, int]] = json.loads(_keybound.redis_limits())
#: How long a call takes at most unless told otherwise, in seconds.
ANSWER_TIMEOUT: Final = LIMITS["answer_ms"] / 1000
#: How long it may take to connect, in seconds.
CONNECT: Final = LIMITS["connect_ms"] / 1000
#: How often a server answers at most while a store is opened.
TURNS: Final = LIMITS["opening_turns"]
#: Faults of this package's that no one has to do anything about.
PASSING: Final = ("held_up", "unreachable")
#: By how many seconds an event loop may be late.
HELD_UP: Final = 0.05
OPTIONS: Final = (
    "answer_timeout",
    "clocks_within",
    "danger_accept_split_brain",
    "danger_ignore_server_clock",
    "danger_plaintext",
    "namespace",
    "now",
    "policy",
    "replicas_within_ms",
    "wait_for_replicas",
)


@dataclass(frozen=True, slots=True)
class RedisFault:
    """Why a server cannot be used. Nothing in it is secret."""

    name: Reason
    """Stable, for metrics: those of the core (`evicts`, `not_primary`, `lost`, …), `credentials`, `held_up`, `plaintext` and `unreachable`."""
    message: str
    """What is wrong and what to do."""
    is_configuration: bool
    """Whether someone has to change a configuration."""


@dataclass(frozen=True, slots=True)
class RedisStatus:
    """What a store knows of its server. To ask costs no round trip."""

    epoch: str | None
    """The epoch of the server's present life; `None` while the store accepts nothing."""
    floor: int | None
    """Proofs made before this time need a nonce of this life: seconds since 1970."""
    fault: RedisFault | None
    """Why the server cannot be used, or why it last could not."""
    lives: int
    """How many lives were found so far; each costs a client one challenge."""
    waiting: int
    """How many calls wait for an answer."""

    @property
    def is_open(self) -> bool:
        """Whether proofs can be accepted."""
        return self.epoch is not None


class RedisOptions(TypedDict, total=False):
    """The options of :meth:`RedisReplayStore.open`, which describes them."""

    policy: Policy | None
    namespace: Required[str]
    answer_timeout: float
    clocks_within: int | None
    wait_for_replicas: int | None
    replicas_within_ms: int | None
    danger_accept_split_brain: bool
    danger_ignore_server_clock: bool
    danger_plaintext: bool
    now: int | None


class Asking:
    """An exchange with a server, turn by turn."""

    __slots__ = ("_began", "_now", "_turn", "asks")

    def __init__(self, turn: _keybound.RedisTurn, now: int) -> None:
        self._turn, self._now, self._began = turn, now, time.monotonic()
        self.asks = turn.commands() is not None

    @property
    def commands(self) -> list[list[str]] | None:
        """What to send; none, if all is done."""
        commands = self._turn.commands()
        return None if commands is None else json.loads(commands)

    def resume(self, replies: list[str]) -> None:
        """Goes on with the replies."""
        self._turn = self._turn.resume(replies, self._now + int(time.monotonic() - self._began))

    def lose(self) -> None:
        """There are no replies, and there will be none."""
        if self._turn.commands() is not None:
            self._turn = self._turn.lost()

    @property
    def is_faulty(self) -> bool:
        """Whether the server cannot be used, as far as all is done."""
        return "fault" in self.outcome

    @property
    def outcome(self) -> dict[str, Any]:
        """What all came to."""
        outcome: dict[str, Any] = json.loads(self._turn.outcome() or "{}")
        return outcome


class Process:
    """What a store has in one process: a forked child has connections and a state of the core of its own."""

    def __init__(self, native: _keybound.RedisReplay, epoch: str | None) -> None:
        self.pid = os.getpid()
        self.native = native
        self.was_open = False
        #: By a verifier's clock: when the store was last opened, or an attempt begun.
        self.tried_at: int | None = None
        self.last_epoch = native.epoch() if epoch is None else epoch
        self.waiting = 0


class _Store:
    """What both stores are made of, and what they tell."""

    _is_async: ClassVar[bool]
    _process: ClassVar[type[Process]]

    def __init__(self, *_: object, **__: object) -> None:
        raise Misuse("made_by_open", f"a store in Redis is opened before it is used; write {self._example()}")

    @classmethod
    def _example(cls) -> str:
        return f'{"await " if cls._is_async else ""}{cls.__name__}.open(client, policy=policy, namespace="api")'

    def _prepare(self, client: Any, **options: Any) -> int | None:
        """Checks the options and keeps what comes of them. Gives the time, where the program says it."""
        check_known(options, OPTIONS)
        self._library = library_of(client, type(self).__name__, self._is_async)
        policy = one("policy", options.pop("policy", None), Policy) or Policy()
        namespace = text("namespace", options.pop("namespace", None))
        if not namespace:
            raise Misuse("missing_option", f"a store in Redis needs a namespace, one for each resource; write {self._example()}")
        answer_timeout = options.pop("answer_timeout", ANSWER_TIMEOUT)
        if isinstance(answer_timeout, bool) or not isinstance(answer_timeout, (int, float)) or not 0 < answer_timeout <= 60:
            raise Misuse("wrong_type", "answer_timeout is a number of seconds, at most 60; write answer_timeout=0.25")
        now = whole("now", options.pop("now", None))
        self._accepts_plaintext = flag("danger_plaintext", options.pop("danger_plaintext", False))
        for name, value in options.items():
            (flag if name.startswith("danger_") else whole)(name, value)
        self._client, self._namespace, self._answer_timeout = client, namespace, float(answer_timeout)
        self._options = json.dumps({**json.loads(policy.options()), **{name: value for name, value in options.items() if value is not None}})
        #: A policy that was compared with the store's, so that this is done once and not for each proof.
        self._agreeing: Policy | None = policy
        self._place: Place | None = None
        self._fault: RedisFault | None = None
        self._is_up = True
        self._says_policy = True
        self._left_behind: list[Process] = []
        self._process_state = self._begin(None)
        return now

    def _begin(self, epoch: str | None) -> Process:
        try:
            return self._process(_keybound.RedisReplay(self._namespace, self._options), epoch)
        except NATIVE as error:
            told = translated(error)
            if isinstance(told, Misuse) and told.detail.startswith("namespace "):
                raise Misuse(told.reason, f'{told.detail}, and this is {self._namespace[:64]!r}; write namespace="api"') from None
            raise told from error

    def _here(self) -> Process:
        """What belongs to this process."""
        here = self._process_state
        if here.pid != os.getpid():
            # Kept: closing the parent's connections would disturb it, and another of its threads may have held the core's lock.
            self._left_behind.append(here)
            here = self._process_state = self._begin(here.last_epoch)
        return here

    @property
    def epoch(self) -> str:
        """The present life of the store. Until one is found it is a random number, which costs each client one more challenge."""
        here = self._here()
        return here.native.epoch() if here.was_open else here.last_epoch

    def status(self) -> RedisStatus:
        """What is known of the server, for health checks and metrics."""
        here = self._here()
        known = json.loads(here.native.status())
        return RedisStatus(known.get("epoch"), known.get("floor"), self._fault, known["lives"], here.waiting)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(namespace={self._namespace!r}, is_open={self.status().is_open})"

    def _where(self) -> Place:
        """The server that has the namespace, as far as the client knows."""
        if self._place is None or self._library.is_cluster:
            place = Place.of(self._client, self._library, self._here().native.prefix())
            if self._place is None or place.identity != self._place.identity:
                place.check(self._accepts_plaintext)
            self._place = place
        return self._place

    def _ended(self, here: Process, asking: Asking, failure: Exception | None) -> dict[str, Any]:
        """Notes how an exchange ended, and gives what it came to."""
        if failure is not None:
            log.debug("an exchange with Redis failed", exc_info=failure)
            asking.lose()
        outcome = asking.outcome
        if isinstance(failure, Refused):
            self._note(RedisFault(failure.name, failure.message, failure.name not in PASSING))
        elif "fault" in outcome:
            fault = outcome["fault"]
            self._note(RedisFault(fault["name"], _told(fault), fault["is_configuration"]))
        elif asking.asks:
            if not self._is_up:
                log.info("the replay store in Redis can be used again")
            self._is_up = here.was_open = True
            here.last_epoch = here.native.epoch()
        return outcome

    def _unreachable(self, error: Exception) -> Refused:
        """What a failure to connect is to the store."""
        if isinstance(error, self._library.errors.AuthenticationError):
            return Refused(
                "credentials",
                "the Redis server does not take the user or the password: check those of the client, and `ACL LIST` on the server",
            )
        # Not its text, which may name users and hosts.
        return Refused("unreachable", f"the Redis server is out of reach ({type(error).__name__})")

    def _error(self, error: Exception) -> str:
        """A reply that is an error. What is no reply is raised."""
        reply = error_of(error, self._library)
        if reply is None:
            raise error
        return reply

    def _goes_on(self, error: Exception) -> bool:
        """Whether the client reads on after this reply: it closes the connection after some."""
        return isinstance(error, self._library.errors.ResponseError)

    def _has_moved(self) -> bool:
        return self._library.is_cluster and not self._is_up and self._fault is not None and self._fault.name == "moved"

    def _is_lost(self, asking: Asking) -> bool:
        """Whether the nodes of a cluster have to be found anew: what was asked had no answer, or another node has the namespace."""
        return self._library.is_cluster and asking.asks and not self._is_up

    def _note(self, fault: RedisFault) -> None:
        if self._is_up or fault != self._fault:
            log.warning("the replay store in Redis cannot be used: %s", fault.message)
        self._fault, self._is_up = fault, False

    def _tell(self, refused: Refused) -> None:
        """Lets :meth:`status` tell of a call that was not answered, while the server can be used."""
        self._fault = RedisFault(refused.name, refused.message, False)
        log.debug("%s", refused.message)

    def _held_up(self, seconds: float) -> Refused | None:
        """What a time-out is that came so much too late that the program itself took the time."""
        if seconds <= HELD_UP:
            return None
        told = f"the program held its event loop up for {seconds:.2f} s, so that an answer of Redis was not read in time"
        return Refused("held_up", told)

    def _check_opened(self) -> None:
        """Raises :class:`Misuse` for a fault that someone has to do something about."""
        fault = self._fault
        if not self._is_up and fault is not None and fault.is_configuration:
            raise Misuse(fault.name, fault.message)

    def _check_policy(self, policy: Policy) -> None:
        """Raises :class:`Misuse` where a verifier with this policy would always be refused."""
        if policy is self._agreeing:
            return
        try:
            self._here().native.check_policy(policy.options())
        except NATIVE as error:
            told = translated(error)
            if isinstance(told, Misuse) and told.reason == "store_disagreement":
                fix = "open the store with the same policy: policy=policy"
                raise Misuse(told.reason, f"{told.detail}; {fix}") from None
            raise told from error
        self._agreeing = policy

    def _entry(self, here: Process, entry: ReplayEntry) -> _keybound.Entry:
        native = entry._native
        if self._says_policy and not here.native.serves(native):
            self._says_policy = False
            log.warning("a verifier asks a store in Redis that was opened with another policy, and is always refused: open it with policy=")
        return native

    def _unavailable(self) -> Inserted:
        return Inserted(Insertion.UNAVAILABLE, self.epoch)


def inserted(answer: dict[str, str]) -> Inserted:
    """An answer of the core's."""
    return Inserted(Insertion(answer["insertion"]), answer["epoch"])


def _told(fault: dict[str, Any]) -> str:
    """A fault of the core's in words, with the options as Python has them."""
    message: str = fault["message"]
    if fault["name"] == "moved":
        client = "give the store a client for clusters, redis.RedisCluster"
        return f"this namespace is on another node of the Redis cluster, {fault['address']}: {client}"
    if fault["name"] == "needs_replicas":
        told = r"write wait_for_replicas=\1 to wait for so many with each proof, or danger_accept_split_brain=True"
        return re.sub(r"wait for (\d+) .*", told, message)
    return message
