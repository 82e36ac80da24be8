"""What endpoints do with a request again and again, once."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from propylon import language
from propylon.core.principal import Principal, User
from propylon.core.session import Session, refusal
from propylon.errors import CredentialRefused
from propylon.flows.refusals import refused
from propylon.http.guard import Asking
from propylon.http.services import Services

# In the scope of a request: the mode that its credential is asked to move to.
MOVES_TO = "propylon.moves_to"


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return ``body`` as JSON."""
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")


def no_content(headers: dict[str, str] | None = None) -> Response:
    """Return 204."""
    return Response(status_code=204, headers=headers)


async def require_principal(services: Services, request: Request) -> Principal:
    """Return who is calling, or refuse."""
    principal = await Asking(services.gate, services.transport, request.scope).principal()
    ask_to_move(request, principal.moves_to)
    return principal


def ask_to_move(request: Request, mode: str | None) -> None:
    """Let the answer say that the credential is to move to this mode, or not to; see ``envelope``."""
    request.scope[MOVES_TO] = mode


async def require_session(services: Services, principal: Principal) -> tuple[Session, User]:
    """Return the record and the user behind a principal, or refuse."""
    session = await services.sessions.find_session(principal.session_id)
    if session is None:
        raise CredentialRefused("session_expired")
    if (code := refusal(session, services.clock.now())) is not None:
        raise refused(session, code)
    return session, await services.home.read_user(principal.user_id)


def tongue(services: Services, request: Request) -> str:
    """Return the caller's language."""
    accept = request.headers.get("accept-language")
    return language.negotiate(accept, services.transport.language_cookie(request.scope))


def root_of(request: Request) -> str:
    """Return the prefix under which Propylon is mounted, without a trailing slash."""
    return str(request.scope.get("root_path", "")).rstrip("/")
