"""Fixtures of this folder."""

from logins import server

__all__ = ["server"]
