"""JOSE, as much of it as Propylon needs: keys, signed tokens, and the RFC 9068 access token.

Pure functions over `cryptography` and msgspec. Every token is judged whole: its form before any
cryptography, its signature before any claim, its expiry last.
"""

from __future__ import annotations

from propylon.core.jose.refusals import KeyRefused, TokenRefused

__all__ = ["KeyRefused", "TokenRefused"]
