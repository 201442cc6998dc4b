"""What an access token says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from .._options import texts

__all__ = ["TestToken"]


@dataclass(frozen=True)
class TestToken:
    """An access token of a user, as :class:`TestIssuer` signs it.

    >>> TestToken("alice", scopes=["items:read", "items:write"], lifetime=60).client_id
    'test-client'
    """

    __test__: ClassVar[bool] = False

    subject: str
    """The user it is for (`sub`)."""
    scopes: Sequence[str] = ()
    """What it permits (`scope`)."""
    client_id: str = "test-client"
    """The client it was issued to."""
    lifetime: int = 300
    """For how many seconds it is valid (`exp`). A server accepts it for its leeway longer."""
    audience: str | None = None
    """The resource it is for (`aud`): that of the issuer otherwise."""
    bound_to: str | None = None
    """The thumbprint of the key it is bound to (`cnf.jkt`): that of the client it is made for otherwise."""
    claims: Mapping[str, Any] = field(default_factory=dict)
    """More claims, or other values for those that the token has anyway."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "scopes", tuple(texts("scopes", self.scopes)))
