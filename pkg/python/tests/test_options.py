"""A text where a list is meant is its characters to Python: no option takes one, and no text for `True` either."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from django.conf import settings
from starlette.applications import Starlette

from keybound import (
    AsyncClient,
    AsyncResourceServer,
    AuthorizationServer,
    Client,
    Credentials,
    Grant,
    Incoming,
    Intent,
    Introspection,
    Key,
    MemoryReplayStore,
    Misuse,
    NonceKey,
    Nonces,
    Policy,
    Proxies,
    ResourceServer,
    SessionRequest,
    Verifier,
    explain_response,
    prepare,
    thumbprint,
)
from keybound.flask import Keybound
from keybound.flask import require as flask_require
from keybound.starlette import KeyboundMiddleware, protect
from keybound.starlette import require as starlette_require
from keybound.testing import TestIssuer, TestToken

API, AS = "https://api.example.com", "https://as.example.com"
GIVEN: dict[str, Any] = {"resource": API, "issuers": [AS]}
DETAIL = {"type": "payment"}
SESSION = Client().adopt("a-token", key=Key.generate(), resource=API)
Made = Callable[..., object]


def django_middleware(**options: Any) -> object:
    if not settings.configured:
        settings.configure()
    from keybound.django import KeyboundMiddleware as DjangoMiddleware

    settings.KEYBOUND = options
    return DjangoMiddleware(lambda request: None)  # type: ignore[arg-type, return-value]


def starlette_middleware(**options: Any) -> object:
    return KeyboundMiddleware(lambda *_: None, **options)  # type: ignore[arg-type, return-value]


# What no decoded path is.
NEVER = [[path] for path in ("/a?b", "/a#b", "/static*", "/*/a", "/items/{id}", "//a", "/a//b", "/a/../b", "/.", "/a%20b")]

def protected_application(**options: Any) -> object:
    app = Starlette()
    protect(app, **options)
    return app.user_middleware[0]


MIDDLEWARE: list[Made] = [starlette_middleware, protected_application, Keybound, django_middleware]
SERVERS: list[Made] = [ResourceServer, AsyncResourceServer, *MIDDLEWARE]


@pytest.mark.parametrize("make", MIDDLEWARE)
@pytest.mark.parametrize("public", ["/health", ("/health"), b"/health", {"/health": True}, ["health"], ["/health", 7], [""], 7, *NEVER])
def test_public_is_a_list_of_paths(make: Made, public: Any) -> None:
    with pytest.raises(Misuse) as told:
        make(**GIVEN, public=public)
    assert "public" in told.value.detail
    if public == "/health":
        assert told.value.detail.endswith("write public=['/health']")
    make(**GIVEN, public=("/health", "/", "/100%", "/a.b/..c/", "/static/*"))


SECRET = "a-secret-that-no-log-may-have---"


@pytest.mark.parametrize(
    ("option", "make"),
    [
        ("keys", lambda: Nonces(keys=SECRET)),  # type: ignore[arg-type]
        ("keys", lambda: Nonces(keys=SECRET.encode())),  # type: ignore[arg-type]
        ("keys", lambda: Nonces(keys=(SECRET,))),  # type: ignore[arg-type]
        ("nonces", lambda: Policy(nonces=SECRET)),  # type: ignore[arg-type]
        ("secret", lambda: NonceKey(id=1, secret=SECRET)),  # type: ignore[arg-type]
        ("client_secret", lambda: Introspection(url=AS, client_id="me", client_secret=SECRET.encode())),  # type: ignore[arg-type]
        ("credentials", lambda: Client(credentials=SECRET)),  # type: ignore[arg-type]
        ("introspection", lambda: ResourceServer(**GIVEN, introspection=SECRET)),
    ],
)
def test_a_secret_is_not_repeated(option: str, make: Callable[[], object]) -> None:
    with pytest.raises(Misuse) as told:
        make()
    assert option in told.value.detail and SECRET not in str(told.value) + repr(told.value)


@pytest.mark.parametrize("make", SERVERS)
@pytest.mark.parametrize(("wrong", "meant"), [("issuer", "issuers"), ("audience", "audiences"), ("mountpath", "mount_path"), ("epoch", ""), ("zzz", "")])
def test_an_option_that_there_is_not_is_told_with_the_one_that_may_be_meant(make: Made, wrong: str, meant: str) -> None:
    with pytest.raises(Misuse, match=f"there is no option {wrong}(; write {meant}=|: there are )") as told:
        make(**GIVEN, **{wrong: [AS]})
    assert told.value.reason == "unknown_option"
    if make in MIDDLEWARE:
        with pytest.raises(Misuse, match="write public="):
            make(**GIVEN, publics=["/health"])


@pytest.mark.parametrize("make", SERVERS)
@pytest.mark.parametrize(
    ("option", "wrong"),
    [
        ("resource", API.encode()),
        ("schemes", {"dpop"}),
        ("mount_path", b"/app"),
        ("realm", b"x"),
        ("scope", ["read"]),
        ("name", 7),
        ("documentation", b"x"),
        ("origin", b"https://b.example"),
        ("path_prefix", b"/x"),
        ("leeway", b"5"),
        ("require_client_id", b"x"),
    ],
    ids=str,
)
def test_an_option_that_is_a_text_takes_nothing_else(make: Made, option: str, wrong: Any) -> None:
    with pytest.raises(Misuse, match=f"^{option} is ") as told:
        make(**{**GIVEN, option: wrong})
    assert told.value.reason == "wrong_type"


@pytest.mark.parametrize("make", SERVERS)
def test_a_resource_has_an_identifier(make: Made) -> None:
    with pytest.raises(Misuse, match="resource is missing"):
        make(issuers=[AS])


@pytest.mark.parametrize("setting", [None, "x", {}, [], 7], ids=str)
def test_the_setting_of_django_is_a_dict(setting: Any) -> None:
    django_middleware(**GIVEN)
    from keybound.django import KeyboundMiddleware as DjangoMiddleware

    settings.KEYBOUND = setting
    with pytest.raises(Misuse, match="the setting KEYBOUND is a dict"):
        DjangoMiddleware(lambda request: None)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("option", ["url", "client_id", "client_secret"])
@pytest.mark.parametrize("wrong", [7, b"x", None])
def test_an_introspection_has_texts(option: str, wrong: Any) -> None:
    with pytest.raises(Misuse, match=option):
        Introspection(**{"url": f"{AS}/i", "client_id": "a", "client_secret": "b", option: wrong})


def test_articles() -> None:
    with pytest.raises(Misuse, match="introspection is an Introspection, and this is an int"):
        ResourceServer(**GIVEN, introspection=7)


@pytest.mark.parametrize("make", SERVERS)
@pytest.mark.parametrize("option", ["issuers", "audiences", "token_algorithms", "scopes", "also_origins"])
def test_a_resource_takes_lists(make: Made, option: str) -> None:
    good = {"issuers": AS, "token_algorithms": "ES256", "also_origins": "https://b.example"}.get(option, "x")
    for wrong in (good, good.encode(), {good: 1}, [good, None], 1):
        with pytest.raises(Misuse) as told:
            make(**{**GIVEN, option: wrong})
        assert option in told.value.detail
    make(**{**GIVEN, option: [good]})
    make(**{**GIVEN, option: (good,)})


@pytest.mark.parametrize("make", SERVERS)
def test_a_text_is_no_truth(make: Made) -> None:
    with pytest.raises(Misuse, match="allow_loopback is True or False"):
        make(resource=API, issuers=["http://127.0.0.1:1"], allow_loopback="false")
    with pytest.raises(Misuse):
        make(**GIVEN, require_client_id="false")
    for workers in ("1", True, 0, 1.0):
        with pytest.raises(Misuse, match="workers"):
            make(**GIVEN, workers=workers)


@pytest.mark.parametrize("make", MIDDLEWARE)
def test_a_decoded_path_is_taken_for_true_alone(make: Made) -> None:
    with pytest.raises(Misuse, match="danger_decoded_path"):
        make(**GIVEN, danger_decoded_path="false")


@pytest.mark.parametrize("make", SERVERS)
@pytest.mark.parametrize("mount_path", ["app", "/app/", "/", "/a/../b", "/%61pp", "/a?b", ["/app"]])
def test_a_mount_point_has_one_form(make: Made, mount_path: Any) -> None:
    with pytest.raises(Misuse):
        make(**GIVEN, mount_path=mount_path)


@pytest.mark.parametrize("make", [Client, AsyncClient])
@pytest.mark.parametrize("option", ["accept_issuers", "also_origins", "algorithms", "credentials", "servers"])
def test_a_client_takes_lists(make: Made, option: str) -> None:
    one = {"credentials": Credentials(issuer=AS, client_id="me"), "servers": {"issuer": AS}}.get(option, "ES256")
    for wrong in (one, "ES256", [1]):
        with pytest.raises(Misuse) as told:
            make(**{option: wrong})
        assert option in told.value.detail


@pytest.mark.parametrize(
    ("option", "make"),
    [
        ("algorithms", lambda: Policy(algorithms="ES256")),  # type: ignore[arg-type]
        ("keys", lambda: Nonces(keys=NonceKey(id=1, secret=bytes(32)))),  # type: ignore[arg-type]
        ("keys", lambda: Nonces(keys=(bytes(32),))),  # type: ignore[arg-type]
        ("nonces", lambda: Policy(nonces=NonceKey(id=1, secret=bytes(32)))),  # type: ignore[arg-type]
        ("policy", lambda: MemoryReplayStore(policy="fapi2")),  # type: ignore[arg-type]
        ("policy", lambda: Verifier(policy="fapi2")),  # type: ignore[arg-type]
        ("policy", lambda: AuthorizationServer(policy="fapi2")),  # type: ignore[arg-type]
        ("secret", lambda: NonceKey(id=1, secret="x" * 32)),  # type: ignore[arg-type]
        ("addresses", lambda: Proxies(addresses="10.0.0.1", family="forwarded")),  # type: ignore[arg-type]
        ("confirmed", lambda: Grant(type="derived", confirmed=Key.generate().thumbprint)),
        ("algorithms", lambda: AuthorizationServer(policy=Policy(algorithms=[None]))),  # type: ignore[arg-type, list-item]
        ("intent", lambda: SessionRequest(at=None, intent=DETAIL)),  # type: ignore[arg-type]
        ("authorization_details", lambda: SessionRequest(at=None, authorization_details="payment")),  # type: ignore[arg-type]
        ("details", lambda: Intent.declare(DETAIL, key=Key.generate().thumbprint)),  # type: ignore[arg-type]
        ("scopes", lambda: flask_require(["read"])),  # type: ignore[arg-type]
        ("scopes", lambda: starlette_require(["read"])),  # type: ignore[arg-type]
    ],
)
def test_lists_elsewhere(option: str, make: Callable[[], object]) -> None:
    with pytest.raises(Misuse) as told:
        make()
    assert option in told.value.detail


class Awaited:
    """A store and a transport that are awaited."""

    epoch = "1"

    async def insert(self, entry: object, *, now: int) -> None: ...

    async def send(self, request: object) -> None: ...


@pytest.mark.parametrize("make", SERVERS)
@pytest.mark.parametrize(
    ("option", "wrong"),
    [
        ("policy", "fapi2"),
        ("policy", {"max_age": 60}),
        ("introspection", "https://as.example.com/introspect"),
        ("proxies", ["10.0.0.1"]),
        ("store", "redis://localhost"),
        ("store", object()),
        ("store", SimpleNamespace(epoch="1", insert=None)),
        ("store", SimpleNamespace(epoch=1, insert=print)),
        ("store", MemoryReplayStore),
        ("transport", object()),
        ("transport", Awaited),
    ],
    ids=str,
)
def test_an_option_of_another_kind_is_told_at_the_start(make: Made, option: str, wrong: Any) -> None:
    with pytest.raises(Misuse) as told:
        make(**{**GIVEN, option: wrong})
    assert option in told.value.detail


@pytest.mark.parametrize("make", [ResourceServer, Keybound, django_middleware])
@pytest.mark.parametrize("option", ["store", "transport"])
def test_a_server_that_blocks_takes_nothing_that_is_awaited(make: Made, option: str) -> None:
    with pytest.raises(Misuse, match="AsyncResourceServer"):
        make(**GIVEN, **{option: Awaited()})


@pytest.mark.parametrize(("make", "kind"), [(starlette_middleware, ResourceServer), (protected_application, ResourceServer), (Keybound, AsyncResourceServer)])
def test_a_middleware_takes_its_kind_of_server(make: Made, kind: Made) -> None:
    with pytest.raises(Misuse, match="server"):
        make(server=kind(**GIVEN))


def test_headers_are_a_mapping_or_pairs_of_texts_or_bytes() -> None:
    nonce = httpx.Headers([("DPoP-Nonce", "n1"), ("DPoP-Nonce", "n2")])
    for one in ({"DPoP-Nonce": "n1"}, {"DPoP-Nonce": b"n1"}, [("DPoP-Nonce", "n1")], [("DPoP-Nonce", b"n1")], (pair for pair in [("DPoP-Nonce", "n1")])):
        assert explain_response(status=401, headers=one)["nonce"] == "n1"
    assert explain_response(status=401, headers=nonce)["nonce_state"] == "repeated"
    assert Incoming(method="GET", target=b"/", headers={"DPoP": "x"}).headers == (("DPoP", b"x"),)
    for wrong in ("DPoP: x", "", b"", ["DPoP"], None, {"DPoP": 1}):
        with pytest.raises(Misuse) as told:
            explain_response(status=401, headers=wrong)  # type: ignore[arg-type]
        assert told.value.reason == "wrong_type"
    with pytest.raises(Misuse) as told:
        explain_response(status=401, headers={"X": "\u65e5"})
    assert told.value.reason == "not_text"


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)
JWK: dict[str, Any] = {"kty": "EC", "crv": "P-256", "x": b"a-secret"}


@pytest.mark.parametrize(
    ("argument", "act"),
    [
        ("public_jwk", lambda: prepare(public_jwk=JWK, algorithm="ES256", method="GET", url=API)),
        ("jwk", lambda: thumbprint(JWK)),
        ("details", lambda: Intent.declare([{**DETAIL, "to": b"a-secret"}], key=Key.generate().thumbprint)),
        ("details", lambda: Intent.declare([{**DETAIL, "to": CIRCLE}], key=Key.generate().thumbprint)),
        ("register", lambda: Client(register={"client_name": b"a-secret"})),
        ("credentials", lambda: Client(credentials=[Credentials(issuer=AS, client_id="c", secret=b"a-secret")])),  # type: ignore[arg-type]
        ("authorization_details", lambda: Client().authorize(SessionRequest(at=SESSION, authorization_details=[{**DETAIL, "to": b"a-secret"}]))),
        ("claims", lambda: TestIssuer(API).token(TestToken("alice", claims={"a": b"a-secret"}))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_json_cannot_hold_is_a_wrong_type(argument: str, act: Callable[[], object]) -> None:
    with pytest.raises(Misuse, match=f"^{argument} has to be what JSON can hold: ") as told:
        act()
    assert told.value.reason == "wrong_type" and "a-secret" not in str(told.value) and told.value.__suppress_context__


def test_a_level_that_does_not_exist_is_not_repeated() -> None:
    for given, named in (("a-secret", "a str"), (b"a-secret", "a bytes"), (3, "an int")):
        with pytest.raises(Misuse) as told:
            Client(level=given)  # type: ignore[arg-type]
        assert told.value.reason == "unknown_value"
        assert told.value.detail == f"level is one of SecurityLevel.STANDARD, SecurityLevel.ENHANCED, SecurityLevel.MAXIMUM, and this is {named}"


def test_messages_have_the_names_of_this_language() -> None:
    with pytest.raises(Misuse) as told:
        Client().discover("http://api.example.com/x")
    assert told.value.reason == "insecure_url"
    assert "allow_loopback" in told.value.detail and "`" not in told.value.detail
