"""Every vector has its outcome, in a narrow and in a wide window (tests/vectors/README.md)."""

from __future__ import annotations

import base64
import json
import re
import time
from typing import Any

import pytest

import keybound
from keybound import KeyboundError, MemoryReplayStore, Misuse, NonceKey, Nonces, Policy, Presented, Verifier
from vectors import read, vectors

Entry = dict[str, Any]

WINDOWS = {"narrow": (60, 10), "wide": (300, 60)}
NOBODY = "A" * 43
#: Ed448 is in no build, and none for Python can be made without algorithms.
SKIPPED = {"key-ed448", "own-alg-not-in-build"}


def known_algorithms() -> tuple[str, ...]:
    """All that this build can verify: the text of a mistake lists the names, and those not in the build are refused."""
    with pytest.raises(Misuse) as told:
        Verifier(policy=Policy(algorithms=("none",)))
    names = told.value.detail.split("there are: ")[1].split(", ")
    return tuple(name for name in names if can_verify(name))


def can_verify(algorithm: str) -> bool:
    try:
        return bool(Verifier(policy=Policy(algorithms=(algorithm,))))
    except Misuse:
        return False


ALL = known_algorithms()


def segment(proof: str, at: int) -> dict[str, Any]:
    """A decoded part of a proof; empty if it cannot be read."""
    try:
        part = proof.split(".")[at]
        read = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, IndexError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


def proofs_of(entry: Entry) -> list[str]:
    given = entry.get("proof")
    return [] if given is None else [given] if isinstance(given, str) else given


def thumbprint_of(proofs: list[str]) -> str | None:
    try:
        return keybound.thumbprint(segment(proofs[0], 0)["jwk"])
    except (KeyboundError, LookupError, TypeError, ValueError):
        return None


def present(entry: Entry, window: tuple[int, int]) -> str:
    """Presents an entry; what it leaves out is taken from the proof itself, since that is not what it tests."""
    allowed = entry.get("allowed_algs")
    algorithms = ALL if allowed is None else tuple(name for name in ALL if name in allowed)
    if not algorithms:
        return "alg_not_permitted"
    proofs = proofs_of(entry)
    claims = segment(proofs[0], 1) if proofs else {}
    time_given = entry.get("now", claims.get("iat"))
    now = int(time_given) if isinstance(time_given, (int, float)) else int(time.time())
    named, target = claims.get("htm"), claims.get("htu")
    method = entry.get("method") or (named if isinstance(named, str) else "GET")
    url = entry.get("url") or (target if isinstance(target, str) else "")
    nonces = None
    if issuer := entry.get("nonce_issuer"):
        secret = base64.urlsafe_b64decode(issuer["secret"] + "=" * (-len(issuer["secret"]) % 4))
        nonces = Nonces(keys=(NonceKey(id=issuer["key_id"], secret=secret),), namespace=issuer["namespace"])
    policy = Policy(
        algorithms=algorithms,
        max_age=entry.get("max_age", window[0]),
        max_ahead=entry.get("max_ahead", window[1]),
        bare_htu=entry.get("bare_htu") is True,
        nonces=nonces,
    )
    uses_store = bool(entry.get("already_used")) or "store_floor" in entry
    store = MemoryReplayStore(policy=policy, capacity=1024, workers=1, now=entry.get("store_floor", now - 3600)) if uses_store else None
    verifier = Verifier(policy=policy)

    def judge(shown: list[str], jkt: str | None) -> str:
        bound = thumbprint_of(shown) if not jkt else jkt if re.fullmatch(r"[\w-]{43}", jkt) else NOBODY
        token = entry.get("access_token")
        members: dict[str, Any] = dict(
            proof=[proof.encode() for proof in shown],
            method=method,
            url=url,
            access_token=token,
            bound_to=bound if token is None else bound or NOBODY,
            at_authorization_server=token is None,
            expected_nonce=entry.get("nonce"),
        )
        presented = Presented(**members)
        try:
            if store is None:
                verifier.check(presented, now=now)
            else:
                verifier.verify(presented, store=store, now=now)
        except Misuse:
            raise
        except KeyboundError as error:
            return error.reason
        return "accepted"

    if used := entry.get("already_used"):
        judge(proofs if used is True else [used], None)
    return judge(proofs, entry.get("jkt"))


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("entry", vectors(), ids=lambda entry: entry["id"])
def test_outcome(entry: Entry, window: str) -> None:
    if entry["id"] in SKIPPED:
        pytest.skip("this needs a build that there is not")
    outcome = present(entry, WINDOWS[window])
    if entry["expect"] == "accept":
        assert outcome == "accepted"
    elif entry["expect"] == "reject":
        assert outcome == entry["rejection"] if "rejection" in entry else outcome != "accepted"
    else:
        assert entry["expect"] == "either"


def test_a_wrong_expectation_is_noticed() -> None:
    entry = next(entry for entry in vectors() if entry["expect"] == "accept")
    assert present(entry, WINDOWS["narrow"]) == "accepted"
    assert present({**entry, "now": 1_900_000_000}, WINDOWS["narrow"]) == "iat_too_old"


def test_what_is_skipped_is_not_in_the_build() -> None:
    ed448 = next(entry for entry in vectors() if entry["id"] == "key-ed448")
    assert present(ed448, WINDOWS["wide"]) in ("alg_unknown", "alg_unavailable", "jwk_unsupported", "alg_not_permitted")
    assert next(entry for entry in vectors() if entry["id"] == "own-alg-not-in-build")["without_verifiers"] is True
    assert {"ES256", "ES384", "ES512", "Ed25519", "EdDSA", "PS256", "RS256", "ML-DSA-44", "ML-DSA-65"} <= set(ALL)


@pytest.mark.parametrize("entry", read("vectors/explained/mistakes.json"), ids=lambda entry: entry["id"])
def test_every_mistake_is_found_in_one_run(entry: Entry) -> None:
    floor, store = entry.get("store_floor"), None
    if floor is not None:
        store = MemoryReplayStore(workers=1, danger_first_start=entry.get("first_start", False), now=floor)
    presented = Presented(
        proof=entry["proof"], method=entry["method"], url=entry["url"], access_token=entry["access_token"], bound_to=entry["jkt"]
    )
    told = Verifier().explain(presented, store=store, now=entry["now"])
    unmet = [(check.check, check.reason, check.because) for check in told.checks if check.reason or check.because]
    assert unmet == [(check["check"], check.get("reason"), check.get("because")) for check in entry["unmet"]]
    assert told.reason == (told.failure and told.failure.reason)
    assert [check.check for check in told.failures] == [check["check"] for check in entry["unmet"] if "reason" in check]
    assert told.accepted == (not entry["unmet"])
