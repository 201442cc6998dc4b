"""Fixtures of `keybound.testing`."""

pytest_plugins = ["keybound.testing.fixtures"]
