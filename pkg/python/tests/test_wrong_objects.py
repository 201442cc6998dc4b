"""Arguments of another kind: a forgotten `await`, a name in place of an object, two that are swapped. The message has the caller's names."""

from __future__ import annotations

import asyncio
import gc
import pathlib
import warnings
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from flask import Flask
from cryptography.hazmat.primitives.asymmetric import ec, ed448

import keybound.fastapi
import keybound.flask
import keybound.httpx
import keybound.requests
import keybound.starlette
from keybound import (
    AsyncClient,
    Client,
    CryptographySigner,
    Key,
    MemoryReplayStore,
    MemoryStore,
    Misuse,
    Policy,
    SessionRequest,
    Verifier,
    proof,
    thumbprint,
)
from keybound.starlette import KeyboundMiddleware
from keybound.testing import TestClock, TestIssuer, TestToken

URL = "https://api.example.com/items"
KEY = Key.generate()
STORE = MemoryStore()
STORE.add_key(KEY, KEY.thumbprint)
CLIENT = Client(store=STORE)
SESSION: Any = CLIENT.adopt("a-token", key=KEY, resource=URL)
CURVE: Any = ec.generate_private_key(ec.SECP256R1())

Act = Callable[[Any], object]
WRONG: list[tuple[str, Act, Any, str]] = [
    ("session", lambda it: CLIENT.call(it, URL), "work", "session is a Session, and this is a str; write session=client.open(name)"),
    ("session", lambda it: CLIENT.refresh(it), CLIENT, "this is a Client"),
    ("session", lambda it: CLIENT.end(it), None, "this is a NoneType"),
    ("session", lambda it: CLIENT.step_up(it, "admin"), "work", "session is a Session"),
    ("session", lambda it: keybound.httpx.DPoPAuth(CLIENT, it), "work", "session is a Session"),
    ("client", lambda it: keybound.httpx.DPoPAuth(it, CLIENT), SESSION, "client is a Client, and this is a Session; write DPoPAuth(client, session)"),
    ("client", lambda it: keybound.requests.DPoPAuth(it, SESSION), AsyncClient(), "client is a Client, and this is an AsyncClient"),
    ("at", lambda it: SessionRequest(at=it), URL, "at is a Discovered, and this is a str; write at=client.discover(url)"),
    ("at", lambda it: CLIENT.introspect(it, "t"), URL, "at is a Discovered"),
    ("request", lambda it: CLIENT.authorize(it), SESSION, "request is a SessionRequest, and this is a Session; write SessionRequest(at=…)"),
    ("device", lambda it: CLIENT.poll_device(it), "WDJB-MJHT", "device is a DeviceLogin"),
    ("subject", lambda it: CLIENT.token_exchange(SessionRequest(at=SESSION), it), "token", "write SubjectToken(token=…)"),
    ("scope", lambda it: CLIENT.authorize(SessionRequest(at=SESSION, scope=it)), ["read", "write"], 'write scope="read write"'),
    ("url", lambda it: CLIENT.discover(it), pathlib.PurePosixPath("/a"), "url is a text, and this is a PurePosixPath"),
    ("name", lambda it: CLIENT.open(it), b"work", "name is a text, and this is a bytes"),
    ("callback", lambda it: CLIENT.exchange(it), object(), "callback is a text, and this is an object"),
    ("store", lambda it: Client(store=it), "sessions", "store is a SessionStore, and this is a str; write store=MemoryStore()"),
    ("store", lambda it: Client(store=it), MemoryStore, "this is the class MemoryStore"),
    ("store", lambda it: AsyncClient(store=it), MemoryReplayStore(now=0), "without a method create_key"),
    ("transport", lambda it: Client(transport=it), "https", "a transport is an object with a method send"),
    ("show", lambda it: CLIENT.device(SessionRequest(at=SESSION), show=it), "print", "show is a function, and this is a str"),
    ("key", lambda it: proof(key=it, method="GET", url=URL), "abc", "write key=Key.from_pem(…) or Key.from_jwk(…)"),
    ("key", lambda it: proof(key=it, method="GET", url=URL), KEY.public_jwk, "write key=Key.from_jwk(…)"),
    ("key", lambda it: proof(key=it, method="GET", url=URL), CURVE, "write key=Key.from_cryptography(…)"),
    ("key", lambda it: proof(key=it, method="GET", url=URL), Key, "this is the class Key"),
    ("key", lambda it: keybound.httpx.DPoPAuth.for_token("t", key=it, resource=URL), "abc", "key is a Key or a Signer"),
    ("key", lambda it: CLIENT.adopt("t", key=it, resource=URL), "abc", "key is a Key or a Signer"),
    ("url", lambda it: proof(key=KEY, method="GET", url=it), pathlib.PurePosixPath("/a"), "url is a text"),
    ("access_token", lambda it: proof(key=KEY, method="GET", url=URL, access_token=it), b"t", "access_token is a text, and this is a bytes"),
    ("pem", lambda it: Key.from_pem(it), pathlib.Path("/etc/key.pem"), "write Key.from_pem(path.read_bytes())"),
    ("der", lambda it: Key.from_der(it), "MC4C", "der is a bytes, and this is a str"),
    ("jwk", lambda it: Key.from_jwk(it), KEY, "jwk is a Mapping, and this is a Key"),
    ("jwk", lambda it: thumbprint(it), KEY, "jwk is a Mapping"),
    ("presented", lambda it: Verifier().verify(it, store=MemoryReplayStore(now=0)), "e30.e30.AA", "presented is a Presented, and this is a str"),
    ("presented", lambda it: Verifier().explain(it), "e30.e30.AA", "presented is a Presented"),
    ("max_age", lambda it: Policy(max_age=it), timedelta(minutes=1), "max_age is a whole number, and this is a timedelta"),
]


UNKNOWN: list[tuple[Callable[..., object], str, str]] = [
    (proof, "htm", "write method=…"),
    (proof, "htu", "write url=…"),
    (proof, "methd", "write method=…"),
    (proof, "token", "write access_token=…"),
    (keybound.prepare, "jwk", "write public_jwk=…"),
    (keybound.verify, "jkt", "write bound_to=…"),
    (keybound.averify, "nonce", "write expected_nonce=…"),
    (keybound.explain, "nothing_like_it", "there are access_token, at_authorization_server, bound_to, "),
    (keybound.explain_response, "header", "write headers=…"),
    (Policy, "max_ages", "write max_age=…"),
    (SessionRequest, "scopes", "write scope=…"),
    (keybound.Credentials, "clientid", "write client_id=…"),
    (keybound.Cors, "origin", "write origins=…"),
    (keybound.Presented, "ath", "write access_token=…"),
]


@pytest.mark.parametrize(("act", "name", "told"), UNKNOWN, ids=[f"{act.__name__}-{name}" for act, name, _ in UNKNOWN])
def test_an_argument_of_another_name_is_told_what_to_write(act: Callable[..., Any], name: str, told: str) -> None:
    async def called() -> None:
        made = act(**{name: "a-secret"})
        if asyncio.iscoroutine(made):
            await made

    with pytest.raises(Misuse) as misuse:
        asyncio.run(called())
    assert misuse.value.reason == "unknown_option" and misuse.value.detail.startswith(f"there is no option {name}")
    assert told in misuse.value.detail and "a-secret" not in misuse.value.detail and "self" not in misuse.value.detail


def test_an_argument_that_is_missing_is_still_named_by_python() -> None:
    with pytest.raises(TypeError, match="'method' and 'url'"):
        proof(key=KEY)  # type: ignore[call-arg]
    assert asyncio.iscoroutinefunction(keybound.averify)


@pytest.mark.parametrize(("argument", "act", "given", "told"), WRONG, ids=[f"{name}-{type(it).__name__}" for name, _, it, _ in WRONG])
def test_an_object_of_another_kind_is_named(argument: str, act: Act, given: Any, told: str) -> None:
    with pytest.raises(Misuse) as misuse:
        act(given)
    assert misuse.value.reason in ("wrong_type", "transport_type")
    assert argument in misuse.value.detail and told in misuse.value.detail


@pytest.mark.parametrize(
    "act",
    [
        lambda client, it: SessionRequest(at=it),
        lambda client, it: keybound.httpx.DPoPAuth(client, it),
        lambda client, it: asyncio.run(client.call(it, URL)),
        lambda client, it: asyncio.run(client.poll_device(it)),
        lambda client, it: proof(key=it, method="GET", url=URL),
        lambda client, it: proof(key=KEY, method="GET", url=URL, access_token=it),
        lambda client, it: Client(store=it),
    ],
)
def test_a_forgotten_await_is_named_and_python_warns_of_nothing_else(act: Callable[[Any, Any], object]) -> None:
    client = AsyncClient()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with pytest.raises(Misuse) as misuse:
            act(client, client.discover(URL))
        gc.collect()
    assert "this is a coroutine; write await AsyncClient.discover(…)" in misuse.value.detail
    assert seen == []


def test_no_message_shows_what_was_given() -> None:
    for _, act, _, _ in WRONG:
        with pytest.raises(Misuse) as misuse:
            act(["eyJhbGciOi-secret", object()])
        assert "secret" not in str(misuse.value)


def test_keys_that_sign_no_proofs_are_named() -> None:
    for made, told in [
        (ed448.Ed448PrivateKey.generate(), "this is an Ed448PrivateKey"),
        (ec.generate_private_key(ec.SECP256K1()), "this is a key of secp256k1"),
        (CURVE.public_key(), "private keys of P-256"),
        ("-----BEGIN", "this is a str"),
    ]:
        for read in (Key.from_cryptography, CryptographySigner):
            with pytest.raises(Misuse) as misuse:
                read(made)
            assert told in misuse.value.detail


def test_options_of_clients_have_names() -> None:
    with pytest.raises(Misuse) as misuse:
        Client(allow_local=True)  # type: ignore[call-arg]
    assert misuse.value.reason == "unknown_option" and "write allow_loopback=…" in misuse.value.detail
    with pytest.raises(Misuse) as misuse:
        Client(level="high")  # type: ignore[arg-type]
    assert "SecurityLevel.ENHANCED" in misuse.value.detail
    assert Client(level="enhanced") is not None  # type: ignore[arg-type]


def test_a_response_of_any_library_tells_its_nonce() -> None:
    issuer = TestIssuer("https://api.example.com", clock=TestClock())
    for headers in (
        {"DPoP-Nonce": "n-1", "WWW-Authenticate": 'DPoP error="use_dpop_nonce"'},
        [("dpop-nonce", "n-1"), ("www-authenticate", 'DPoP error="use_dpop_nonce"')],
        [("dpop-nonce", b"n-1"), ("www-authenticate", b'DPoP error="use_dpop_nonce"')],
    ):
        client = issuer.client(TestToken("alice"))
        assert client.observe("/items", 401, headers)
        assert not client.observe("/items", 200, {})


def test_a_clock_takes_a_timedelta() -> None:
    clock = TestClock()
    clock.advance(timedelta(minutes=1))
    assert clock() == 1_700_000_060


OPTIONS: Any = {"resource": "https://api.example.com", "issuers": ["https://as.example.com"], "workers": 1}


def test_an_application_is_protected_once() -> None:
    for application, protect in ((FastAPI(), keybound.fastapi.protect), (FastAPI(), keybound.starlette.protect), (Flask("app"), keybound.flask.Keybound)):
        protect(application, **OPTIONS)  # type: ignore[operator]
        with pytest.raises(Misuse) as misuse:
            protect(application, **OPTIONS)  # type: ignore[operator]
        assert "protected already" in misuse.value.detail
    with pytest.raises(Misuse):
        KeyboundMiddleware(KeyboundMiddleware(FastAPI(), **OPTIONS), **OPTIONS)


def test_applications_of_other_frameworks_are_named() -> None:
    wrong: list[tuple[Any, Any, str]] = [
        (keybound.fastapi.protect, Flask("app"), "app is a Starlette, and this is a Flask"),
        (keybound.fastapi.protect, "application:app", "this is a str"),
        (keybound.flask.Keybound, FastAPI(), "app is a Flask, and this is a FastAPI"),
    ]
    for protect, application, told in wrong:
        with pytest.raises(Misuse) as misuse:
            protect(application, **OPTIONS)
        assert told in misuse.value.detail and "keybound." in misuse.value.detail


def test_scopes_are_given_one_by_one() -> None:
    for require in (keybound.fastapi.require, keybound.starlette.require, keybound.flask.require):
        for scope in ("read write", ""):
            with pytest.raises(Misuse):
                require(scope)


def test_a_public_path_with_the_mount_point_in_front_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    keybound.fastapi.protect(FastAPI(), public=["/app/health"], mount_path="/app", **OPTIONS)
    assert "write '/health'" in caplog.text
