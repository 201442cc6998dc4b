"""Arguments that are wrong, or that came from outside and were passed on as they are."""

from __future__ import annotations

import asyncio
import gc
import time
import warnings
from typing import Any

import pytest

from keybound import (
    Client,
    Key,
    KeyboundError,
    MemoryReplayStore,
    MemoryStore,
    Misuse,
    Policy,
    Presented,
    ProofRejected,
    Protection,
    Verifier,
    averify,
    explain,
    proof,
    verify,
)

URL = "https://api.example.com/items"
KEY = Key.generate()


def settled_store() -> MemoryReplayStore:
    return MemoryReplayStore(now=int(time.time()) - 3600)


@pytest.mark.parametrize(
    "shown",
    ["", "é€", "\ud800", "a" * 100_000, b"\xff\xfe", b"a" * 100_000, [], ["", ""], ["\ud800"], [b"\xff", "x"], None, "a.b.c", "\x00.\x00.\x00"],
    ids=lambda shown: ascii(shown)[:20],
)
def test_whatever_comes_as_a_proof_is_refused(shown: Any) -> None:
    with pytest.raises(ProofRejected) as told:
        verify(store=settled_store(), proof=shown, method="GET", url=URL, at_authorization_server=True)
    assert told.value.refusal is not None and told.value.refusal.status in (400, 401)
    assert not explain(proof=shown, method="GET", url=URL).accepted


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"url": URL + "\ud800"}, "not_text"),
        ({"method": "\ud800"}, "not_text"),
        ({"access_token": "\ud800", "bound_to": KEY.thumbprint}, "not_text"),
        ({"now": 10**30}, "out_of_range"),
        ({"access_token": "a-token"}, "missing_option"),
        ({"bound_to": "short"}, "not_a_thumbprint"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_mistakes_are_told(changed: dict[str, Any], reason: str) -> None:
    request = {"proof": proof(key=KEY, method="GET", url=URL), "method": "GET", "url": URL, "at_authorization_server": "access_token" not in changed, **changed}
    with pytest.raises(Misuse) as told:
        verify(store=settled_store(), **request)
    assert told.value.reason == reason
    with pytest.raises(Misuse):
        verify(store=settled_store(), **{**request, "proof": [request["proof"]]})


TOKEN = {"access_token": "a-token", "bound_to": KEY.thumbprint}


@pytest.mark.parametrize(
    ("shown", "reason", "told"),
    [
        ({}, "missing_option", "a resource server writes access_token=…, bound_to=…, and a token endpoint"),
        ({"bound_to": KEY.thumbprint}, "missing_option", "at_authorization_server=True"),
        ({"access_token": None, "at_authorization_server": False}, "missing_option", "at_authorization_server=True"),
        ({**TOKEN, "at_authorization_server": True}, "options_exclude", "access_token and at_authorization_server exclude each other"),
        ({"at_authorization_server": "no"}, "wrong_type", "at_authorization_server is True or False, and this is a str"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_forgotten_access_token_is_not_the_check_of_a_token_endpoint(shown: dict[str, Any], reason: str, told: str) -> None:
    request: dict[str, Any] = {"proof": proof(key=KEY, method="GET", url=URL, access_token="another"), "method": "GET", "url": URL, **shown}
    for act in (
        lambda: verify(store=settled_store(), **request),
        lambda: asyncio.run(averify(store=settled_store(), **request)),
        lambda: Verifier().check(Presented(**request)),
    ):
        with pytest.raises(Misuse) as misuse:
            act()
        assert misuse.value.reason == reason and told in misuse.value.detail


def test_where_a_proof_is_checked_decides_whether_its_token_counts() -> None:
    request: dict[str, Any] = {"proof": proof(key=KEY, method="GET", url=URL, access_token="another"), "method": "GET", "url": URL}
    for token in ("a-token", ""):
        with pytest.raises(ProofRejected) as told:
            verify(store=settled_store(), **request, access_token=token, bound_to=KEY.thumbprint)
        assert told.value.reason == "ath_mismatch"
    assert verify(store=settled_store(), **request, at_authorization_server=True).thumbprint == KEY.thumbprint
    # An explanation is for people: it may leave the token out.
    assert explain(**request).accepted and explain(**request, at_authorization_server=True).accepted
    assert explain(**request, **TOKEN).reason == "ath_mismatch"
    with pytest.raises(Misuse, match="exclude each other"):
        explain(**request, **TOKEN, at_authorization_server=True)


def test_a_policy_takes_lists() -> None:
    policy = Policy(algorithms=["ES256"])  # type: ignore[arg-type]
    store = MemoryReplayStore(policy=policy, now=int(time.time()) - 3600)
    verified = verify(store=store, policy=policy, proof=proof(key=KEY, method="GET", url=URL), method="GET", url=URL, at_authorization_server=True)
    assert verified.algorithm == "ES256"
    with pytest.raises(Misuse):
        MemoryReplayStore(capacity=-1)


class Signs:
    """A signer that gives something else than a signature."""

    algorithm, protection, public_jwk = "ES256", Protection.HSM, KEY.public_jwk
    thumbprint = KEY.thumbprint

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def sign(self, message: bytes, digest: bytes | None) -> Any:
        return self._answer(message)


async def later(message: bytes) -> Any:
    return KEY.sign(message)


@pytest.mark.parametrize(
    ("answer", "named"), [(lambda message: KEY.sign(message).value, "bytes"), (later, "awaited"), (lambda message: None, "NoneType")]
)
def test_a_signer_says_its_encoding(answer: Any, named: str) -> None:
    store = MemoryStore()
    store.add_key(Signs(answer), KEY.thumbprint)
    client = Client(store=store)
    session = client.adopt("a-token", key=KEY, resource=URL)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for act in (lambda: proof(key=Signs(answer), method="GET", url=URL), lambda: client.call(session, URL)):
            with pytest.raises(KeyboundError) as told:
                act()
            assert told.value.reason == "not_a_signature" and named in told.value.detail
        gc.collect()
    assert seen == []
