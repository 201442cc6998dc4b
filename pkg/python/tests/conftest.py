"""What tests of stores in Redis leave open fails them: a connection, a transport, an event loop, a server's process."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator

import pytest

#: A warning that is raised where an object is thrown away is reported as the second.
ERRORS = ("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning")


def is_of_redis(item: pytest.Item | pytest.FixtureRequest) -> bool:
    """Whether a test is one of these."""
    return item.path.name.startswith("test_redis")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in filter(is_of_redis, items):
        for error in ERRORS:
            # Before the marks of the test itself, which may ignore one.
            item.add_marker(pytest.mark.filterwarnings(error), append=False)


@pytest.fixture(scope="module", autouse=True)
def nothing_of_others(request: pytest.FixtureRequest) -> None:
    """What tests of other modules left is not theirs."""
    if is_of_redis(request):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            gc.collect()


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """What is not closed is found at the end of the test that opened it."""
    yield
    if is_of_redis(request):
        gc.collect()
