"""The Starlette application: the table of operations and the pages become routes."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from propylon.core.navigation import is_for_a_person
from propylon.errors import ClientError, NotFound, PropylonError
from propylon.http import openapi, problems
from propylon.http.accounts_api import AccountsApi
from propylon.http.confirm_routes import ConfirmRoutes
from propylon.http.console_routes import ConsoleRoutes
from propylon.http.context import root_of, tongue
from propylon.http.cors import Cors
from propylon.http.data_api import DataApi
from propylon.http.documents import Documents
from propylon.http.envelope import Envelope
from propylon.http.feed_api import FeedApi
from propylon.http.metrics import Observation
from propylon.http.mode_api import ModeApi
from propylon.http.monitoring import Monitoring
from propylon.http.operations import OPERATIONS
from propylon.http.page_routes import PageRoutes
from propylon.http.renewal_api import RenewalApi
from propylon.http.services import Services
from propylon.http.session_events import SessionEventsApi
from propylon.http.sessions_api import SessionsApi
from propylon.http.transport import presents_token
from propylon.web.assets import MODULES

logger = logging.getLogger("propylon")

Endpoint = Callable[[Request], Awaitable[Response]]


def application(services: Services, *, look: Callable[[], Observation], nonce: Callable[[int], bytes]) -> ASGIApp:
    """Return the ASGI application that serves the whole HTTP contract."""
    config = services.config
    document = openapi.document(
        OPERATIONS,
        title=f"{config.site_name} sign-in",
        server=config.public_url,
        session_cookie=config.session_cookie,
    )
    sessions = SessionsApi(services)
    documents = Documents(services, document)
    rooms = {
        "sessions": sessions,
        "renewal": RenewalApi(services),
        "accounts": AccountsApi(services),
        "data": DataApi(services),
        "documents": documents,
        "feed": FeedApi(services),
        "events": SessionEventsApi(services),
        "mode": ModeApi(services),
        "monitoring": Monitoring(services, look),
    }
    pages = PageRoutes(services, sessions, document, nonce)
    routes = [
        _route(operation.method, operation.path, _recorded(_endpoint(rooms, operation.name)))
        for operation in OPERATIONS
    ]
    routes.append(_route("GET", "/openapi.json", documents.openapi))
    routes.append(_route("GET", "/static/{name}", documents.asset))
    routes += [_route("GET", f"/{name}", documents.browser_client) for name in MODULES]
    table = _page_table(pages, ConfirmRoutes(services, nonce), ConsoleRoutes(services, nonce))
    routes += [_route(method, path, _for_people(pages, endpoint)) for method, path, endpoint in table]
    starlette = Starlette(
        routes=_merged(routes),
        middleware=[Middleware(Cors, config.origins, config.public_url)],
        exception_handlers=_handlers(services, pages),
    )
    # Starlette would answer "/v1/sessions/" with a 307 to an address made of scheme and Host: behind a proxy that
    # ends TLS, a browser then sends the password again, over plain http (RFC 9700 4.12).
    starlette.router.redirect_slashes = False
    return Envelope(starlette, config, services.metrics)


def _endpoint(rooms: dict[str, Any], name: str) -> Endpoint:
    room, method = name.split(".")
    endpoint: Endpoint = getattr(rooms[room], method)
    return endpoint


def _page_table(
    pages: PageRoutes, confirming: ConfirmRoutes, console: ConsoleRoutes
) -> tuple[tuple[str, str, Endpoint], ...]:
    return (
        ("GET", "/", pages.start),
        ("GET", "/login", pages.sign_in_page),
        ("POST", "/login", pages.sign_in),
        ("GET", "/signup", pages.sign_up_page),
        ("POST", "/signup", pages.sign_up),
        ("POST", "/logout", pages.sign_out),
        ("GET", "/confirm", confirming.confirm_page),
        ("POST", "/confirm", confirming.confirm),
        ("GET", "/account", pages.account_page),
        ("POST", "/account/profile", pages.save_profile),
        ("POST", "/account/password", pages.change_password),
        ("POST", "/account/sessions/end", pages.end_session),
        ("POST", "/account/sessions/end-others", pages.end_others),
        ("GET", "/console", console.console_page),
        ("POST", "/console/mode", console.change_mode),
        ("POST", "/console/pause", console.pause),
        ("POST", "/language", pages.choose_language),
        ("GET", "/docs", pages.reference),
    )


def _for_people(pages: PageRoutes, endpoint: Endpoint) -> Endpoint:
    async def page(request: Request) -> Response:
        try:
            return await recorded(request)
        except PropylonError as error:
            return await pages.problem(request, error)

    recorded = _recorded(endpoint)
    return page


def _recorded(endpoint: Endpoint) -> Endpoint:
    """Turn what nobody expected into ``internal``, logged, before Starlette answers it with plain text."""

    async def recorded(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (PropylonError, HTTPException) as error:
            if isinstance(error, PropylonError) and error.code not in problems.STATUS:
                logger.exception("an error that no caller can be told about")
            raise
        except Exception as error:
            logger.exception("unexpected error")
            raise PropylonError("internal") from error

    return recorded


def _route(method: str, path: str, endpoint: Endpoint) -> Route:
    async def marked(request: Request) -> Response:
        request.scope["propylon.route"] = path  # the pattern, for metrics
        return await endpoint(request)

    return Route(path, marked, methods=[method])


def _merged(routes: list[Route]) -> list[Route]:
    """Join the methods of one path, so that a wrong method is answered with all that the path allows."""
    by_path: dict[str, dict[str, Any]] = {}
    for route in routes:
        by_path.setdefault(route.path, {}).update(dict.fromkeys(route.methods or (), route.endpoint))
    return [_dispatching(path, by_method) for path, by_method in by_path.items()]


def _dispatching(path: str, by_method: dict[str, Any]) -> Route:
    if len(set(by_method.values())) == 1:
        return Route(path, next(iter(by_method.values())), methods=list(by_method))

    async def dispatch(request: Request) -> Response:
        answer: Response = await by_method[request.method](request)
        return answer

    return Route(path, dispatch, methods=list(by_method))


def _leads_nowhere(request: Request, error: PropylonError) -> bool:
    """Return whether a person typed an address that is not there; programs ask below two paths of their own."""
    if error.code not in ("not_found", "method_not_allowed"):
        return False
    path = request.scope["path"].removeprefix(root_of(request)) + "/"
    return not path.startswith(("/v1/", "/.well-known/")) and is_for_a_person(
        sec_fetch_mode=request.headers.get("sec-fetch-mode"), accept=request.headers.get("accept")
    )


def _handlers(services: Services, pages: PageRoutes) -> dict[Any, Any]:
    async def refuse(request: Request, error: Exception) -> Response:
        if not isinstance(error, PropylonError):
            raise error
        if error.code in problems.STATUS:
            services.metrics.refusals.labels(error.code).inc()
        if _leads_nowhere(request, error):
            return await pages.nowhere(request, error)
        return problems.response(
            error,
            tongue(services, request),
            services.config.public_url,
            bearer_presented=presents_token(request.scope),
            elsewhere=problems.elsewhere_of(request.scope),
        )

    async def no_route(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        known = {404: NotFound(), 405: ClientError("method_not_allowed")}
        answer = await refuse(request, known.get(error.status_code, ClientError("request_malformed")))
        answer.headers.update(error.headers or {})
        return answer

    return {PropylonError: refuse, HTTPException: no_route}
