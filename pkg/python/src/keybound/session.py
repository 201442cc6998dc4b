"""Sessions of a client: what is asked for, and what comes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from . import _keybound
from ._arguments import made_by_name
from ._options import needed, objects, told
from ._types import SecurityLevel, given
from .errors import Misuse
from .transport import HttpResponse

__all__ = [
    "Authorization",
    "Credentials",
    "DeviceLogin",
    "Discovered",
    "IssuedToken",
    "Response",
    "Session",
    "SessionRequest",
    "Subject",
    "SubjectToken",
]

Json = Mapping[str, Any]


def level_of(level: object) -> str:
    """The name of a level."""
    try:
        return SecurityLevel(level).value
    except ValueError:
        known = ", ".join(f"SecurityLevel.{each.name}" for each in SecurityLevel)
        raise Misuse("unknown_value", f"level is one of {known}, and this is {told(level)}") from None


@made_by_name
@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A client that `issuer` knows already, and how it authenticates.

    `method` is `none` for public clients, `secret` for whichever way the server permits, or the way itself. With
    `private_key_jwt` the session store has the key of `public_jwk`, which must not be the key of proofs.
    """

    issuer: str
    client_id: str
    method: Literal["none", "secret", "client_secret_basic", "client_secret_post", "private_key_jwt"] = "none"
    secret: str | None = field(default=None, repr=False)
    public_jwk: Json | None = None
    algorithm: str | None = None
    key_id: str | None = None


@dataclass(frozen=True, slots=True)
class Discovered:
    """What protects a target."""

    issuer: str
    resource: str | None
    challenged_scope: str | None
    native: _keybound.Discovered = field(repr=False)


@dataclass(frozen=True, slots=True)
class Authorization:
    """Where to send the user's browser. Its response is recognised by `state`: keep that in the browser's own session.

    `pushed` says whether the server has the request already and the URL refers to it (RFC 9126). If not, the user can read and change
    what the URL says.
    """

    url: str = field(repr=False)
    state: str = field(repr=False)
    expires_at: int
    pushed: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """An account, as its authorization server names it. Identify it by both: another issuer may give the same `sub` to another one."""

    issuer: str
    sub: str


@dataclass(frozen=True, slots=True)
class DeviceLogin:
    """A login on another device: what to show, and what :meth:`Client.poll_device` takes, once."""

    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    expires_at: int
    native: _keybound.Device = field(repr=False)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token that is no access token."""

    token: str = field(repr=False)
    token_type: str
    expires_at: int | None


@made_by_name
@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectToken:
    """A token to exchange (RFC 8693), and who acts for its subject."""

    token: str = field(repr=False)
    type: str = "urn:ietf:params:oauth:token-type:access_token"
    actor_token: str | None = field(default=None, repr=False)
    actor_type: str | None = None
    audience: str | None = None
    requested_type: str | None = None


@made_by_name
@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest:
    """A session to be made: its name, where, and for what.

    `at` is what was discovered, or a session to make anew. `authorization_details` and `intent` are lists of objects with a `type`
    (RFC 9396): an intent has a key of its own and asks for no scope but the one given here. It ends after `intent_lifetime` seconds
    (1 to 3,600, and 300 otherwise, counted from its token), with its token, or with the answer to its request. `parameters` are further
    ones of the request.

    `expect_subject` is the `sub` that every token response must have: tokens of another account raise
    :class:`~keybound.LoginRequired` (`subject_mismatch`), and nothing is stored. A `provisional` session is not stored before
    :meth:`Client.keep`, so that its :attr:`Session.subject` can be verified first; :meth:`Client.end` gives it up.

    For servers that need it, `without_pushed_request` sends the request in the URL, `without_resource` sends no `resource` parameter,
    `scope_on_refresh` says the scope at each refresh, and `danger_assume_pkce` takes the server to support PKCE: if it does not, codes
    can be injected.
    """

    at: Discovered | Session
    name: str = "default"
    scope: str | None = None
    resource: str | None = None
    level: SecurityLevel | None = None
    authorization_details: Sequence[Json] | None = None
    intent: Sequence[Json] | None = None
    intent_lifetime: int | None = None
    offline_access: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)
    expect_subject: str | None = None
    provisional: bool = False
    without_pushed_request: bool = False
    without_resource: bool = False
    scope_on_refresh: bool = False
    danger_assume_pkce: bool = False

    def __post_init__(self) -> None:
        if self.level is not None:
            level_of(self.level)
        for name in ("authorization_details", "intent"):
            if getattr(self, name) is not None:
                objects(name, getattr(self, name))
        if not isinstance(self.at, Session):
            needed("at", self.at, Discovered, "at=client.discover(url)")

    def _operation(self) -> dict[str, Any]:
        operation = given(
            resource=self.resource,
            level=None if self.level is None else level_of(self.level),
            offline_access=self.offline_access,
            again=isinstance(self.at, Session),
            provisional=self.provisional,
            without_pushed_request=self.without_pushed_request,
            without_resource=self.without_resource,
            scope_on_refresh=self.scope_on_refresh,
            danger_assume_pkce=self.danger_assume_pkce,
        )
        if not isinstance(self.at, Session):
            operation["session"] = self.name
        if self.scope is not None:
            operation["scope"] = self.scope
        if self.expect_subject is not None:
            operation["expect_subject"] = self.expect_subject
        for name in ("authorization_details", "intent"):
            details = getattr(self, name)
            if details is not None:
                operation[name] = [dict(detail) for detail in details]
        if self.intent_lifetime is not None:
            operation["intent_lifetime"] = self.intent_lifetime
        if self.parameters:
            operation["parameters"] = dict(self.parameters)
        return operation


class Session:
    """Tokens, whom they are from and for, and the key they are bound to. Its `repr` shows no token."""

    __slots__ = ("native",)

    def __init__(self, native: _keybound.Session) -> None:
        self.native = native

    def _info(self) -> dict[str, Any]:
        info: dict[str, Any] = json.loads(self.native.info())
        return info

    @property
    def name(self) -> str:
        """Its name in the store."""
        return str(self._info()["name"])

    @property
    def level(self) -> SecurityLevel:
        """How much it is protected."""
        return SecurityLevel(self._info()["level"])

    @property
    def issuer(self) -> str:
        """The authorization server."""
        return str(self._info()["issuer"])

    @property
    def subject(self) -> Subject | None:
        """The account its tokens are for, if the server named it.

        By an ID token that the scope `openid` asked for and that was checked, or by a `sub` in a token response.
        """
        told = self._info().get("subject")
        return None if told is None else Subject(told["issuer"], told["sub"])

    @property
    def resource(self) -> str | None:
        """What its tokens are for: it sends them nowhere else."""
        return self._info().get("resource")

    @property
    def scope(self) -> str | None:
        """What was granted, names separated by spaces."""
        return self._info().get("scope")

    @property
    def authorization_details(self) -> list[dict[str, Any]] | None:
        """The granted details."""
        return self._info().get("authorization_details")

    @property
    def expires_at(self) -> int | None:
        """When the access token ends, in seconds since 1970."""
        return self._info().get("expires_at")

    @property
    def thumbprint(self) -> str | None:
        """The key that its tokens are bound to; none at level Standard."""
        return self._info().get("thumbprint")

    @property
    def has_ended(self) -> bool:
        """Whether only a new login helps."""
        return bool(self._info()["ended"])

    def member(self, name: str) -> str | None:
        """Another member of the token responses, for example `id_token`, as the server sent it last.

        Nothing of it was verified but an ID token that was asked for (see :attr:`subject`). A text as it is, everything else as JSON. Treat it as a secret. At most 32 members are kept, of 32 KiB in all.
        """
        return self.native.member(name)

    def danger_access_token(self) -> str | None:
        """The access token: a secret, worthless without the key if it is bound."""
        return self.native.danger_access_token()

    def __repr__(self) -> str:
        info = self._info()
        return f"Session({info['name']!r}, {info['level']}, {info['issuer']!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The resource's answer, and what a refused request needs (`login`, or `step_up` with a scope), if anything helps.

    Its `repr` shows neither fields nor body.
    """

    url: str
    """Where it came from, after redirects within the origin."""
    status: int
    """The HTTP status."""
    headers: tuple[tuple[str, bytes], ...] = field(repr=False)
    """One element for each field line, as it came; :meth:`header` finds one."""
    body: bytes = field(repr=False)
    """The whole body; :meth:`json` reads it."""
    demand: Literal["login", "step_up", "resend"] | None
    """What would help: a new login, a login for more `scope`, or to send the request again because its body was a stream."""
    scope: str | None
    """The scope that :meth:`Client.step_up <keybound.Client.step_up>` has to ask for."""
    ignored_challenge: str | None = None
    """Why a malformed line of `WWW-Authenticate` was ignored, if one was."""

    def header(self, name: str) -> str | None:
        """The first value of a field."""
        return HttpResponse(status=self.status, headers=self.headers).header(name)

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)
