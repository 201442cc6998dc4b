"""Fixtures of pytest: `pytest_plugins = ["keybound.testing.fixtures"]` in `conftest.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from .clock import TestClock
from .issuer import TestIssuer

__all__ = ["keybound_clock", "keybound_issuer"]


@pytest.fixture
def keybound_clock() -> TestClock:
    """The clock of the test: the application's and the issuer's."""
    return TestClock()


@pytest.fixture
def keybound_issuer(keybound_clock: TestClock) -> Iterator[Callable[[Any], TestIssuer]]:
    """Takes an application, and gives its issuer, which the application trusts until the test ends: see :meth:`TestIssuer.trusted_by`."""
    with ExitStack() as stack:

        def issuer_of(application: Any) -> TestIssuer:
            return stack.enter_context(TestIssuer.of(application, clock=keybound_clock).trusted_by(application))

        yield issuer_of
