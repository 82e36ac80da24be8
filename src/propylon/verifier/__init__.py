"""Verifying access tokens in a service elsewhere: public keys and the revocation feed, no store and no server.

Example:
    ::

        from propylon.verifier import Verifier

        with Verifier(issuer="https://id.example", audience="https://api.example", secret=secret) as verifier:
            principal = verifier.verify(token)  # or raises CredentialRefused with .code

Everything here needs the standard library, ``cryptography`` and ``msgspec``; ``docs/verifier.md`` is the guide.
"""

from __future__ import annotations

from propylon.problems import Answer
from propylon.verifier.asgi import Asking
from propylon.verifier.verifier import Verifier

__all__ = ["Answer", "Asking", "Verifier"]
