"""Fixtures of this folder."""

from protected import issuer, protected

__all__ = ["issuer", "protected"]
