"""No token, no key and no secret is shown by any object or error of this package."""

from __future__ import annotations

import json
import time
import traceback
from typing import Any

import pytest

import keybound
from keybound import (
    Authorization,
    AuthorizationServer,
    Client,
    Credentials,
    FileStore,
    Grant,
    HttpRequest,
    HttpResponse,
    Introspection,
    Key,
    KeyboundError,
    MemoryReplayStore,
    MemoryStore,
    NonceCache,
    NonceKey,
    Nonces,
    Policy,
    Presented,
    Response,
    SessionRequest,
    Signature,
    Stored,
    SubjectToken,
    Verifier,
    prepare,
    proof,
)
from keybound._drive import Finished

SECRET = "s3cr3t-token-that-nobody-sees"
URL = "https://api.example.com/items"
KEY = Key.generate()
PRIVATE = json.loads(KEY.danger_private_jwk())["d"]
PROOF = proof(key=KEY, method="GET", url=URL, access_token=SECRET)
HIDDEN = (SECRET, PRIVATE, PROOF, "7331" * 8, repr(SECRET.encode()))


def objects() -> list[object]:
    """One object of every class that holds something to hide."""
    key_bytes = b"7331" * 8
    store = MemoryStore()
    store.add_key(KEY, KEY.thumbprint)
    store.save("session/default", expected=None, version=1, value=SECRET)
    client = Client(credentials=[Credentials(issuer="https://as.example.com", client_id="app", method="secret", secret=SECRET)])
    adopting = Client(store=store)
    session = adopting.adopt(SECRET, key=KEY, resource=URL)
    shown = {"proof": PROOF, "method": "GET", "url": URL, "access_token": SECRET, "bound_to": KEY.thumbprint}
    pending = Verifier().check(Presented(**shown))
    fields = (("Authorization", f"DPoP {SECRET}"), ("DPoP", PROOF))
    return [
        KEY,
        KEY._native,
        Signature.raw(SECRET.encode()),
        prepare(public_jwk=KEY.public_jwk, algorithm="ES256", method="GET", url=URL, access_token=SECRET),
        NonceKey(id=1, secret=key_bytes),
        Nonces(keys=(NonceKey(id=1, secret=key_bytes),)),
        Policy(nonces=Nonces(keys=(NonceKey(id=1, secret=key_bytes),))),
        Verifier(policy=Policy(nonces=Nonces(keys=(NonceKey(id=1, secret=key_bytes),)))),
        Presented(**shown),
        pending,
        pending.entry,
        pending.settle(keybound.Insertion.FRESH),
        MemoryReplayStore(),
        NonceCache(),
        client,
        adopting,
        client._native,
        session,
        session.native,
        store,
        Stored(1, SECRET),
        Credentials(issuer="https://as.example.com", client_id="app", method="secret", secret=SECRET),
        SubjectToken(token=SECRET, actor_token=SECRET),
        SessionRequest(at=session),
        Authorization(f"https://as.example.com/authorize?state={SECRET}", SECRET, 0),
        Introspection(url=URL, client_id="api", client_secret=SECRET),
        Grant(type="announcement", form=SECRET.encode()),
        HttpRequest(method="GET", url=URL, headers=fields, body=SECRET.encode()),
        HttpResponse(status=200, headers=(("DPoP-Nonce", SECRET.encode()),), body=SECRET.encode()),
        Response(url=URL, status=200, headers=(), body=SECRET.encode(), demand=None, scope=None),
        keybound.IssuedToken(SECRET, "N_A", None),
        Finished({"kind": "issued", "token": SECRET}, None, None, None),
        AuthorizationServer(policy=Policy(nonces=Nonces(keys=(NonceKey(id=1, secret=key_bytes),)))),
    ]


@pytest.mark.parametrize("value", objects(), ids=lambda value: type(value).__name__)
def test_objects_hide_what_they_hold(value: object) -> None:
    for text in (repr(value), str(value), f"{value!a}", repr([value])):
        assert not any(hidden in text for hidden in HIDDEN), text


def mistakes() -> list[Any]:
    """Calls that fail with something to hide in their arguments."""
    now = int(time.time())
    store = MemoryReplayStore(now=now - 3600)
    right = {"method": "GET", "url": URL, "access_token": SECRET, "bound_to": KEY.thumbprint}
    wrong_key = json.dumps({**json.loads(KEY.danger_private_jwk()), "x": "AAAA"})
    return [
        lambda: keybound.verify(store=store, proof=PROOF, **{**right, "method": "PUT"}),
        lambda: keybound.verify(store=store, proof=PROOF, **{**right, "access_token": SECRET[1:]}),
        lambda: keybound.verify(store=store, proof=PROOF, **{**right, "bound_to": "A" * 43}),
        lambda: keybound.verify(store=store, proof=PROOF, **{**right, "bound_to": SECRET}),
        lambda: keybound.verify(store=store, proof=PROOF[:-4], **right),
        lambda: keybound.verify(store=store, proof=[PROOF, PROOF], **right),
        lambda: keybound.verify(store=store, proof=PROOF, **right, now=now + 3600),
        lambda: [keybound.verify(store=store, proof=PROOF, **right) for _ in range(2)],
        lambda: keybound.proof(key=KEY, method="GET", url="nowhere", access_token=SECRET),
        lambda: keybound.proof(key=KEY, method="GET", url=URL, access_token=f"{SECRET} with spaces\n"),
        lambda: keybound.proof(key=KEY, method="GET", url=URL, nonce=f"{SECRET}\x00"),
        lambda: Key.from_jwk(wrong_key),
        lambda: Key.from_jwk(wrong_key[:-5]),
        lambda: Key.from_pem(KEY.danger_private_pem()[:-30]),
        lambda: keybound.thumbprint(KEY.danger_private_jwk()),
        lambda: Client(credentials=[Credentials(issuer="nowhere", client_id="app", method="secret", secret=SECRET)]),
        lambda: Client().call(Client().adopt(f"{SECRET}\n", key=KEY, resource=URL), URL),
        lambda: Client().exchange(f"https://app.example.com/callback?code={SECRET}&state={SECRET}"),
        lambda: NonceKey(id=1, secret=SECRET.encode()),
    ]


@pytest.mark.parametrize("number", range(len(mistakes())))
def test_errors_hide_what_they_were_given(number: int) -> None:
    with pytest.raises(KeyboundError) as told:
        mistakes()[number]()
    error = told.value
    shown = "".join(traceback.format_exception_only(error)) + repr(error) + str(error) + repr(vars(error))
    if error.__cause__ is not None or error.__context__ is not None and not error.__suppress_context__:
        shown += repr(error.__cause__) + repr(error.__context__)
    assert not any(hidden in shown for hidden in HIDDEN), shown
    assert error.reason and error.detail


def test_a_folder_is_shown_and_nothing_in_it(tmp_path: Any) -> None:
    store = FileStore(tmp_path / "sessions")
    store.add_key(KEY)
    store.save("session/default", expected=None, version=1, value=SECRET)
    assert repr(store) == f"FileStore({str(tmp_path / 'sessions')!r})"
