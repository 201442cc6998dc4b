"""The flows of both clients: generators that stop where the host has something to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from . import _keybound
from ._drive import Clock, Finished, Flow, drive, system_clock
from ._options import Headers, fields, having, json_object, listed, needed, objects, text, texts, told
from ._types import SecurityLevel, given
from .errors import FlowFailed, Misuse, reraise
from .keys import Key, Signer, signing
from .session import (
    Authorization,
    Credentials,
    DeviceLogin,
    Discovered,
    IssuedToken,
    Json,
    Response,
    Session,
    SessionRequest,
    SubjectToken,
    level_of,
)
from .sessions import MemoryStore, SessionStore
from .transport import HttpResponse

__all__ = ["ClientOptions", "Flows", "answered", "device_of", "native_of", "subject_options"]

#: The methods of a :class:`SessionStore`.
STORE = ("create_key", "signer", "delete_key", "load", "save", "lock")
#: What callers call the members of operations that have other names here.
ARGUMENTS = {"target": "url", "session": "name", "subject_token": "token", "subject_token_type": "type"}


class ClientOptions(TypedDict, total=False):
    """The options of :class:`~keybound.Client` and :class:`~keybound.AsyncClient`."""

    level: SecurityLevel
    """The least protection that sessions have: `ENHANCED` otherwise."""
    redirect_uri: str | None
    """Where logins come back to."""
    credentials: Sequence[Credentials]
    """Clients that the servers know."""
    metadata_document: str | None
    """The URL of a document that says who the client is, for servers that do not know it."""
    register: Json | None
    """Metadata to register with (RFC 7591), where the server permits that."""
    accept_issuers: Sequence[str]
    """The only authorization servers that are trusted; all otherwise."""
    entra_tenant: str | None
    """The tenant of Entra ID, a GUID, whose server is asked where Entra ID is named for many (`common`, `organizations`)."""
    servers: Sequence[Json]
    """Metadata of servers that publish none."""
    also_origins: Sequence[str]
    """Further origins that a resource's tokens may be sent to."""
    algorithms: Sequence[str] | None
    """The algorithms of keys that are made."""
    hardware_keys: bool
    """Keys live in hardware: the store has to make such keys."""
    allow_loopback: bool
    """Permits `http` servers on this machine."""
    push_with_proof: bool
    """Pushed requests carry a proof (RFC 9449 section 10.1)."""
    danger_assume_pkce: bool
    """Takes servers that do not say whether they know PKCE."""
    danger_assume_endpoints: bool
    """Takes the usual endpoints of servers without metadata."""
    danger_accept_bearer: bool
    """Takes tokens that are bound to nothing."""
    store: SessionStore | None
    """Keeps keys and sessions; in memory otherwise."""
    clock: Clock
    """Whole seconds since 1970; the system's otherwise."""


class Flows:
    """The flows of both clients: generators that stop where the host has something to do."""

    def __init__(
        self,
        *,
        level: SecurityLevel = SecurityLevel.ENHANCED,
        redirect_uri: str | None = None,
        credentials: Sequence[Credentials] = (),
        metadata_document: str | None = None,
        register: Json | None = None,
        accept_issuers: Sequence[str] = (),
        entra_tenant: str | None = None,
        servers: Sequence[Json] = (),
        also_origins: Sequence[str] = (),
        algorithms: Sequence[str] | None = None,
        hardware_keys: bool = False,
        allow_loopback: bool = False,
        push_with_proof: bool = False,
        danger_assume_pkce: bool = False,
        danger_assume_endpoints: bool = False,
        danger_accept_bearer: bool = False,
        store: SessionStore | None = None,
        clock: Clock = system_clock,
    ) -> None:
        options = given(
            level=level_of(level),
            redirect_uri=redirect_uri,
            credentials=[credentials_options(known) for known in listed("credentials", credentials, Credentials)],
            metadata_document=metadata_document,
            accept_issuers=texts("accept_issuers", accept_issuers),
            entra_tenant=entra_tenant,
            servers=[dict(server) for server in objects("servers", servers)],
            also_origins=texts("also_origins", also_origins),
            algorithms=texts("algorithms", algorithms),
            hardware_keys=hardware_keys,
            allow_loopback=allow_loopback,
            push_with_proof=push_with_proof,
            danger_assume_pkce=danger_assume_pkce,
            danger_assume_endpoints=danger_assume_endpoints,
            danger_accept_bearer=danger_accept_bearer,
        )
        if register is not None:
            options["register"] = dict(register)
        if store is not None:
            having("store", store, "a SessionStore", STORE, "store=MemoryStore() or store=FileStore(folder)")
        self.store: SessionStore = store if store is not None else MemoryStore()
        self.redirect_uri = redirect_uri
        self._clock = clock
        try:
            self._native = _keybound.Client(json_object(options))
        except _keybound.NativeError as error:
            reraise(error)

    def flow(
        self,
        operation: Mapping[str, Any],
        *,
        discovered: _keybound.Discovered | None = None,
        session: _keybound.Session | None = None,
        device: _keybound.Device | None = None,
    ) -> Flow[Finished]:
        """Any operation of the core, by its name and arguments: a generator of pauses, for transports of one's own."""
        told_operation = written(operation)

        def begin(now: int) -> _keybound.Flow:
            handles = _keybound.Handles()
            if discovered is not None:
                handles.discovered(discovered)
            if session is not None:
                handles.session(session)
            if device is not None:
                handles.device(device)
            return self._native.begin(told_operation, handles, now)

        return drive(begin, self.store, self._clock)

    def call_flow(
        self, session: Session, *, method: str, url: str, headers: Headers, body: str
    ) -> Flow[Finished]:
        """A request with the session's token; `body` is `empty`, `repeatable` or `one_shot`. Made for HTTP libraries' own hooks."""
        lines = [[name, value.decode("latin-1")] for name, value in fields(headers)]
        operation = {"do": "call", "method": method, "url": url, "headers": lines, "body": body}
        return self.flow(operation, session=native_of(session))

    def _discover(self, url: str, issuer: str | None) -> Flow[Discovered]:
        return discovered_of((yield from self.flow({"do": "discover", "target": url, **given(issuer=issuer)})))

    def _discover_issuer(self, issuer: str) -> Flow[Discovered]:
        return discovered_of((yield from self.flow({"do": "discover_issuer", "issuer": issuer})))

    def _asked(self, what: str, request: SessionRequest, **rest: Any) -> Flow[Finished]:
        operation = {"do": what, **needed("request", request, SessionRequest, "SessionRequest(at=…)")._operation(), **rest}
        if isinstance(request.at, Session):
            return self.flow(operation, session=request.at.native)
        return self.flow(operation, discovered=request.at.native)

    def _authorize(self, request: SessionRequest) -> Flow[Authorization]:
        return authorization_of((yield from self._asked("authorize", request)))

    def _step_up(self, session: Session, scope: str) -> Flow[Authorization]:
        return authorization_of((yield from self.flow({"do": "step_up", "scope": scope}, session=native_of(session))))

    def _session(self, flow: Flow[Finished]) -> Flow[Session]:
        done = yield from flow
        assert done.session is not None
        return Session(done.session)

    def _adopt(self, token: str, key: Key | Signer, resource: str, name: str, expires_at: int | None) -> Flow[Session]:
        signing(key)
        jwk, place = dict(key.public_jwk), key.protection.value
        told = given(session=name, token=token, resource=resource, public_jwk=jwk, algorithm=key.algorithm, protection=place)
        if expires_at is not None:
            told["expires_at"] = expires_at
        return self._session(self.flow({"do": "adopt", **told}))

    def _device(self, request: SessionRequest) -> Flow[DeviceLogin]:
        done = yield from self._asked("device", request)
        told = done.result
        assert done.device is not None
        complete = told.get("verification_uri_complete")
        return DeviceLogin(told["user_code"], told["verification_uri"], complete, told["expires_at"], done.device)

    def _exchange_for(self, request: SessionRequest, subject: SubjectToken) -> Flow[IssuedToken]:
        told = (yield from self._asked("exchange_for", request, **subject_options(subject))).result
        return IssuedToken(told["token"], told["token_type"], told.get("expires_at"))

    def _ended(self, session: Session) -> Flow[bool]:
        done = yield from self.flow({"do": "end"}, session=native_of(session))
        revoked: bool = done.result["revoked"]
        return revoked

    def _nothing(self, flow: Flow[Finished]) -> Flow[None]:
        yield from flow

    def _introspect(self, at: Discovered, token: str) -> Flow[dict[str, Any]]:
        done = yield from self.flow({"do": "introspect", "token": token}, discovered=needed("at", at, Discovered, "at=client.discover(url)").native)
        claims: dict[str, Any] = done.result["claims"]
        return claims


def native_of(session: Session) -> _keybound.Session:
    """The core's session of an argument `session`."""
    return needed("session", session, Session, "session=client.open(name), or what a login gave").native


def device_of(device: DeviceLogin) -> _keybound.Device:
    """The core's login of an argument `device`."""
    return needed("device", device, DeviceLogin, "device=…, what show was given").native


def written(operation: Mapping[str, Any]) -> str:
    """An operation as the core reads it. Raises :class:`Misuse` for an argument that JSON cannot have, by the caller's name of it."""
    for name, value in operation.items():
        if not isinstance(value, (str, int, float, list, dict, tuple, type(None))):
            raise Misuse("wrong_type", f"{ARGUMENTS.get(name, name)} is a text, and this is {told(value)}")
    text("scope", operation.get("scope"))
    return json_object(operation, ARGUMENTS)


def credentials_options(known: Credentials) -> dict[str, Any]:
    """Credentials as the core reads them."""
    told = given(secret=known.secret, algorithm=known.algorithm, key_id=known.key_id)
    if known.public_jwk is not None:
        told["public_jwk"] = dict(known.public_jwk)
    return {"issuer": known.issuer, "client_id": known.client_id, "method": known.method, **told}


def subject_options(subject: SubjectToken) -> dict[str, Any]:
    """The members of an operation that exchanges a token."""
    needed("subject", subject, SubjectToken, "SubjectToken(token=…)")
    return given(
        subject_token=subject.token,
        subject_token_type=subject.type,
        actor_token=subject.actor_token,
        actor_token_type=subject.actor_type,
        audience=subject.audience,
        requested_token_type=subject.requested_type,
    )


def discovered_of(done: Finished) -> Discovered:
    """What a discovery came to."""
    assert done.discovered is not None
    told = done.result
    return Discovered(told["issuer"], told.get("resource"), told.get("challenged_scope"), done.discovered)


def authorization_of(done: Finished) -> Authorization:
    """Where a login begins."""
    told = done.result
    return Authorization(told["url"], told["state"], told["expires_at"], told["pushed"])


def answered(done: Finished, answer: HttpResponse | None) -> Response:
    """The answer to the caller's own request, and what the core makes of it."""
    if answer is None:
        raise FlowFailed("interrupted", "the request was not sent")
    demand = done.result.get("demand") or {}
    url, headers, body = done.result["url"], answer.headers, answer.body
    what = demand.get("do")
    scope, ignored = demand.get("scope"), done.result.get("ignored_challenge")
    status = answer.status
    return Response(url=url, status=status, headers=headers, body=body, demand=what, scope=scope, ignored_challenge=ignored)
