"""The hosts that test clients name when nobody names one: they are nobody's, so a rehearsal takes them for its own."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

# Starlette and FastAPI; Litestar; the guide of FastAPI for httpx. Django's client sends no ``Host``.
HOSTS = frozenset({b"testserver", b"testserver.local", b"test"})


class AtHome:
    """ASGI: what names one of these hosts, or none, is served as what names the host of the public URL."""

    def __init__(self, app: ASGIApp, public_host: str) -> None:
        self._app, self._host = app, (b"host", public_host.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve."""
        named = [value for name, value in scope["headers"] if name == b"host"]
        if len(named) < 2 and HOSTS.issuperset(named):
            others = [field for field in scope["headers"] if field[0] != b"host"]
            scope = {**scope, "headers": [self._host, *others]}
        await self._app(scope, receive, send)
