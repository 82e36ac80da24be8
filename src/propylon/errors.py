"""The one error tree, split by whose fault it is.

Every error carries a stable ``code`` that programs may rely on, and ``facts``: the values that the
sentence for people is filled with (``propylon.language`` holds the sentences, English and Korean).
``str(error)`` is for logs and developers; it never holds a secret. No HTTP status lives here: the table
in ``propylon.problems`` gives each code its status.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from propylon.language import DEFAULT, say


class PropylonError(Exception):
    """Root of everything that Propylon raises on purpose.

    Attributes:
        code: stable, lower-case, with underscores; part of the public contract.
        facts: public values for the sentence shown to people (never a secret).
    """

    code = "error"

    def __init__(self, code: str | None = None, /, **facts: Any) -> None:
        self.code = code or type(self).code
        self.facts = facts
        super().__init__(self.code)

    def __str__(self) -> str:
        """Show the code and the public facts, for logs."""
        told = ", ".join(f"{name}={value!r}" for name, value in self.facts.items())
        return f"{self.code} ({told})" if told else self.code


class ClientError(PropylonError):
    """The caller's fault: what was sent cannot be honoured. Nothing was changed."""

    code = "request_malformed"


class CredentialRefused(ClientError):
    """The presented credential does not say who is calling; ``code`` says why.

    Codes: ``credential_missing``, ``credential_malformed``, ``credential_ambiguous``, ``session_expired``,
    ``session_revoked``, ``session_evicted``, ``token_expired``, ``token_expiring``, ``token_reused``,
    ``user_disabled``; ``reauthentication_required``: it is known who calls, and it was proved too long ago.
    """

    code = "credential_missing"


class Forbidden(ClientError):
    """The caller is known, or need not be, and may not do this."""

    code = "forbidden"


class RuleRefused(ClientError):
    """Well-formed, but a rule says no; ``errors`` names each field at fault.

    Attributes:
        errors: triples of field, code of the reason, and the facts of its sentence.
    """

    code = "fields_refused"

    def __init__(
        self,
        code: str | None = None,
        /,
        *,
        errors: tuple[tuple[str, str, dict[str, Any]], ...] = (),
        **facts: Any,
    ) -> None:
        super().__init__(code, **facts)
        self.errors = errors


class Conflict(ClientError):
    """Somebody else was first, or what is asked for is taken."""

    code = "conflict"


class NotFound(ClientError):
    """There is no such thing for this caller."""

    code = "not_found"


class TooMany(ClientError):
    """Too many failures from this source, or too much at once; ``retry_after_s`` says when to come back."""

    code = "too_many_attempts"

    def __init__(self, retry_after_s: int, code: str | None = None) -> None:
        super().__init__(code, retry_after_s=retry_after_s)
        self.retry_after_s = retry_after_s


class Unavailable(PropylonError):
    """The system cannot answer now, through nobody's fault who called; nothing was acknowledged.

    Attributes:
        retry_after_s: when it is sensible to ask again, in seconds.
    """

    code = "unavailable"

    def __init__(self, code: str | None = None, /, *, retry_after_s: int = 1, **facts: Any) -> None:
        super().__init__(code, **facts)
        self.retry_after_s = retry_after_s


class StoreUnavailable(Unavailable):
    """The store did not answer or did not write (locked, full, read-only, gone)."""

    code = "store_unavailable"


class FeedSilent(StoreUnavailable):
    """Nothing was heard of the revocation feed for longer than allowed, so nobody knows who is still signed in."""


class Overloaded(Unavailable):
    """A bounded queue is full (password hashing)."""

    code = "overloaded"


class SetupError(PropylonError):
    """Ours, at start: a setting or a file is wrong. One sentence says what to change.

    Attributes:
        key: names the sentence, ``setup.<key>``; a fact may be the error that says why.
    """

    code = "setup_wrong"

    def __init__(self, key: str, /, **facts: Any) -> None:
        super().__init__(**facts)
        self.key = key

    def __str__(self) -> str:
        """Show the sentence in English."""
        return self.said(DEFAULT)

    def said(self, language: str) -> str:
        """Return the sentence for a reader of ``language``."""
        return _said(language, self.key, self.facts)


class Unusable(ValueError):
    """A value is not what it has to be; for the ``SetupError`` that knows where the value stood.

    Attributes:
        key: names the clause that says why, ``setup.<key>``.
        facts: what it is filled with (never a secret).
    """

    def __init__(self, key: str, /, **facts: Any) -> None:
        super().__init__(key)
        self.key, self.facts = key, facts

    def __str__(self) -> str:
        """Show the clause in English."""
        return self.said(DEFAULT)

    def said(self, language: str) -> str:
        """Return the clause for a reader of ``language``."""
        return _said(language, self.key, self.facts)


def _said(language: str, key: str, facts: Mapping[str, Any]) -> str:
    told = {
        name: fact.said(language) if isinstance(fact, SetupError | Unusable) else fact for name, fact in facts.items()
    }
    return say(language, f"setup.{key}", **told)
