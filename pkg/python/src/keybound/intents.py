"""Intents: what a user agreed to, tied to the key that may carry it out, once (RFC 9396 bound by RFC 9449)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from . import _keybound
from ._options import json_of, objects
from ._types import current
from .errors import NATIVE, reraise

__all__ = ["Intent", "request_detail"]


def request_detail(method: str, url: str, *, body: bytes | None = None) -> dict[str, Any]:
    """The `authorization_details` element for one request: its method, its URL and its body, or any body without one."""
    detail: dict[str, Any] = json.loads(_keybound.request_detail(method, url, body))
    return detail


class Intent:
    """Details, the key that may carry them out, and until when."""

    __slots__ = ("_native",)

    def __init__(self, native: _keybound.Intent) -> None:
        self._native = native

    @classmethod
    def declare(
        cls, details: Sequence[Mapping[str, Any]], *, key: str, lifetime: int = 300, now: int | None = None
    ) -> Intent:
        """Declares an intent at the authorization server: what a pushed request asked for, and the thumbprint it named.

        `lifetime` is in seconds, up to 3,600. Raises :class:`~keybound.IntentRejected`.
        """
        try:
            return cls(_keybound.Intent.declare(json_of("details", objects("details", details)), key, lifetime, current(now)))
        except NATIVE as error:
            reraise(error)

    def grant(self, granted: Sequence[Mapping[str, Any]], *, now: int | None = None) -> Intent:
        """The intent with the details that are granted, which lie within the declared ones."""
        try:
            return Intent(self._native.grant(json_of("granted", objects("granted", granted)), current(now)))
        except NATIVE as error:
            reraise(error)

    def permits(self, *, method: str, url: str, body: bytes, key: str, now: int | None = None) -> None:
        """Returns if one of the details names this request, body included, for the key of its proof.

        Raises :class:`~keybound.IntentRejected` otherwise.
        """
        try:
            self._native.permits(method, url, body, key, current(now))
        except NATIVE as error:
            reraise(error)

    @property
    def details(self) -> list[dict[str, Any]]:
        """The details."""
        details: list[dict[str, Any]] = json.loads(self._native.details())
        return details

    @property
    def key(self) -> str:
        """The thumbprint of the key that may carry it out."""
        return self._native.key()

    @property
    def expires_at(self) -> int:
        """Until when, in seconds since 1970."""
        return self._native.expires_at()
