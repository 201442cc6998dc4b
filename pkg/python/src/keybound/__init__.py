"""DPoP (RFC 9449) and the OAuth 2.1 flow around it: stolen access tokens become worthless.

Three floors: *one line* (`keybound.httpx`, `keybound.httpx2`, `keybound.requests`, `keybound.starlette`, `keybound.flask`, `keybound.django`), *one call*
(:func:`proof`, :func:`verify`, :func:`explain`), and *the parts* (:class:`Verifier`, :class:`PendingProof`, :class:`Client`).
"""

from ._keybound import __version__, reasons
from ._reasons import Rejection
from ._types import Insertion, Protection, Refusal, RefusalReason, SecurityLevel
from .audit import Audit
from .client import AsyncClient, Client, ClientOptions
from .errors import (
    BindingMismatch,
    FlowFailed,
    HostFailed,
    IntentRejected,
    KeyboundError,
    LockTimeout,
    LoginRequired,
    Misuse,
    NonceRequired,
    ProofRejected,
    Reason,
    Refused,
    ReplayDetected,
    StoreUnavailable,
)
from .intents import Intent, request_detail
from .keys import CryptographySigner, Key, Signature, Signer, thumbprint
from .policy import NonceKey, Nonces, Policy
from .presented import Check, Explanation, Presented, VerifiedProof
from .principal import Principal
from .proofs import NonceCache, UnsignedProof, prepare, proof
from .resource import (
    AsyncResourceServer,
    Breaker,
    Cors,
    Incoming,
    Introspection,
    IssuerProfile,
    Limit,
    Proxies,
    ResourceOptions,
    ResourceServer,
    Unconsumed,
)
from .responses import explain_response
from .session import (
    Authorization,
    Credentials,
    DeviceLogin,
    Discovered,
    IssuedToken,
    Response,
    Session,
    SessionRequest,
    Subject,
    SubjectToken,
)
from .sessions import FileStore, KeyFault, MemoryStore, SessionStore, SharedKey, Stored
from .stores import AsyncReplayStore, Inserted, MemoryReplayStore, ReplayEntry, ReplayStore
from .token_endpoint import Admission, Admitted, AuthorizationServer, Grant
from .transport import AsyncTransport, HttpRequest, HttpResponse, NotSent, StandardTransport, Transport
from .verifier import PendingProof, Verifier
from .verify import averify, explain, verify

__all__ = [
    "Admission",
    "Admitted",
    "AsyncClient",
    "AsyncReplayStore",
    "AsyncResourceServer",
    "AsyncTransport",
    "Audit",
    "Authorization",
    "AuthorizationServer",
    "BindingMismatch",
    "Breaker",
    "Cors",
    "Check",
    "Client",
    "ClientOptions",
    "Credentials",
    "CryptographySigner",
    "DeviceLogin",
    "Discovered",
    "Explanation",
    "FileStore",
    "FlowFailed",
    "Grant",
    "HostFailed",
    "HttpRequest",
    "HttpResponse",
    "Incoming",
    "Inserted",
    "Insertion",
    "Intent",
    "IntentRejected",
    "Introspection",
    "IssuedToken",
    "IssuerProfile",
    "Key",
    "KeyFault",
    "KeyboundError",
    "Limit",
    "LockTimeout",
    "LoginRequired",
    "MemoryReplayStore",
    "MemoryStore",
    "Misuse",
    "NonceCache",
    "NonceKey",
    "NonceRequired",
    "Nonces",
    "NotSent",
    "PendingProof",
    "Policy",
    "Presented",
    "Principal",
    "ProofRejected",
    "Protection",
    "Proxies",
    "Reason",
    "Refusal",
    "RefusalReason",
    "Refused",
    "Rejection",
    "ReplayDetected",
    "ReplayEntry",
    "ReplayStore",
    "ResourceOptions",
    "ResourceServer",
    "Response",
    "SecurityLevel",
    "Session",
    "SessionRequest",
    "Subject",
    "SessionStore",
    "SharedKey",
    "Signature",
    "Signer",
    "StandardTransport",
    "Stored",
    "StoreUnavailable",
    "SubjectToken",
    "Transport",
    "Unconsumed",
    "UnsignedProof",
    "VerifiedProof",
    "Verifier",
    "__version__",
    "averify",
    "explain",
    "explain_response",
    "prepare",
    "proof",
    "reasons",
    "request_detail",
    "thumbprint",
    "verify",
]
