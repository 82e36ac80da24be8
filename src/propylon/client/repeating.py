"""What an answer says of the token that a request carried, and whether that request can be sent once more."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable

import httpx

from propylon.client.exchange import PROBLEM, Told, told_by
from propylon.client.keeper import Want
from propylon.client.tokens import Held
from propylon.errors import CredentialRefused

REAUTHENTICATE = "reauthentication_required"
# A new token may help. Where the session is over its issuer says so at the renewal, and nobody else is believed.
RENEWABLE = frozenset(
    {
        "token_expired",
        "token_expiring",
        "token_reused",
        "credential_malformed",  # the key that signed it was withdrawn
        "session_expired",
        "session_revoked",
        "session_evicted",
        "user_disabled",
    }
)
# A file or a form up to this size is read into memory, so that it can be sent again.
MAX_REPEATED_BYTES = 1_048_576


def is_repeatable(request: httpx.Request) -> bool:
    """Tell whether a request has its body in memory. A file that was sent is at its end, and would be sent empty."""
    return isinstance(request.stream, httpx.ByteStream)


def should_be_read(request: httpx.Request) -> bool:
    """Tell whether a body should be read into memory: it is not there yet, and known to be small."""
    said = request.headers.get("content-length", "")
    return not is_repeatable(request) and said.isdigit() and len(said) < 9 and int(said) <= MAX_REPEATED_BYTES


def read_sync(request: httpx.Request) -> None:
    """Read a small body; a stream for the other kind of client is left to httpx, which says so."""
    if should_be_read(request) and isinstance(request.stream, Iterable):
        request.read()


async def read_async(request: httpx.Request) -> None:
    """Do as ``read_sync`` does."""
    if should_be_read(request) and isinstance(request.stream, AsyncIterable):
        await request.aread()


def may_refuse(response: httpx.Response, sent: Held) -> bool:
    """Tell whether an answer is a refusal of the token that was sent, and not that of a site redirected to."""
    carried = response.request.headers.get("authorization") == f"Bearer {sent.tokens.access_token}"
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return response.status_code == 401 and kind == PROBLEM and carried


def want_after(response: httpx.Response, sent: Held) -> Want | None:
    """Return what would help against a refusal that has been read, None where nothing of ours would."""
    told = told_in(response)
    if told is None:
        return None
    if told.code == REAUTHENTICATE:
        return Want(newer_than=sent.number, confirmed_after=sent.confirms, max_age_s=told.max_age_s)
    return Want(newer_than=sent.number)


def refusal_in(response: httpx.Response, *, unrepeatable: bool = False) -> CredentialRefused | None:
    """Return a refusal that has been read as an error."""
    told = told_in(response)
    if told is None:
        return None
    facts = {"max_age_s": told.max_age_s} if told.max_age_s is not None else {}
    return CredentialRefused(told.code, **facts, **({"unrepeatable": True} if unrepeatable else {}))


def told_in(response: httpx.Response) -> Told | None:
    """Return what a refusal says, where it is one that concerns the token."""
    told = told_by(response.headers.get("content-type", ""), response.content)
    return told if told is not None and told.code in RENEWABLE | {REAUTHENTICATE} else None
