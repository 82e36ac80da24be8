"""Telling the holder of a dead credential why: in full, from the record, since it costs only them a read."""

from __future__ import annotations

from propylon.core.session import Session, refusal_of
from propylon.errors import CredentialRefused


def refused(session: Session, code: str) -> CredentialRefused:
    """Return the refusal of a credential of ``session``; an evicted one is told when and by what device."""
    ending = session.ending
    if ending is None or code == "session_expired":
        return CredentialRefused(code)
    facts: dict[str, object] = {"ended_at": ending.at}
    if ending.by is not None:
        facts["ended_by"] = ending.by
    return CredentialRefused(code, **facts)


def refused_for(reason: str, session: Session | None) -> CredentialRefused:
    """Return the refusal of a token whose session ended for ``reason``."""
    code = refusal_of(reason)
    return refused(session, code) if session is not None else CredentialRefused(code)
