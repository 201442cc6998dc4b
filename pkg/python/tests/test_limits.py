"""Limits by address, key and client, and the breaker around a store of the program's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from keybound import (
    AuthorizationServer,
    Breaker,
    Grant,
    Incoming,
    Inserted,
    Insertion,
    Key,
    Limit,
    Misuse,
    Policy,
    ProofRejected,
    Proxies,
    Refused,
    ReplayEntry,
    ResourceServer,
    proof,
)
from token_issuer import AS, ISSUER, Issuer, issued

API, NOW = "https://api.example.com", 1_700_000_000
