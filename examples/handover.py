"""One session in two forms: an app opens its web view signed in, and a web page gets a token for an API.

It stays one session: one line in the owner's list of devices. Ended in either form, it is over in both, at once.
Run ``scripts/serve``, and then ``.venv/bin/python -m examples.handover`` (with both addresses, where they are others),
which needs ``.venv/bin/pip install '.[client]'``.
"""

from __future__ import annotations

import sys

from examples.shop.demo import SIGN_IN
from examples.shop.words import language, say
from propylon.errors import PropylonError, SetupError, Unavailable

try:
    import httpx

    from propylon.client import PropylonAuth
except ModuleNotFoundError as missing:
    sys.exit(say("needs_client", package=missing.name))

LOCAL = ("http://localhost:8000", "http://localhost:8001")


def web_view_cookies(issuer: str, auth: PropylonAuth) -> httpx.Cookies:
    """Return what an app puts into the cookie store of its web view before it opens a page there."""
    with httpx.Client(base_url=issuer, auth=auth) as app:
        return app.post("/v1/session/cookie").raise_for_status().cookies


def api_token(issuer: str, cookies: httpx.Cookies) -> str:
    """Return an access token for an API, as a page obtains it by its cookie. There is none to renew it: ask again."""
    with httpx.Client(base_url=issuer, cookies=cookies) as page:
        token: str = page.post("/v1/session/tokens").raise_for_status().json()["access_token"]
        return token


def main(issuer: str, shop: str) -> None:
    """Show that it is one session, and that it ends as one."""
    email, password = SIGN_IN["email"], SIGN_IN["password"]
    auth = PropylonAuth(issuer, email=email, password=password, apis=[shop], user_agent="ShopApp/1.0")
    cookies = web_view_cookies(issuer, auth)
    bearer = {"authorization": f"Bearer {api_token(issuer, cookies)}"}
    with httpx.Client(base_url=shop, cookies=cookies) as web_view, httpx.Client(base_url=shop, headers=bearer) as api:
        for form in (web_view, api):
            me = form.get("/api/me").raise_for_status().json()
            sys.stdout.write(f"{me['credential']}: session {me['session_id']}\n")
        auth.sign_out()
        for form in (web_view, api):
            sys.stdout.write(f"after the app has signed out: {form.get('/api/me').json()['code']}\n")


def run(arguments: list[str]) -> str | None:
    """Show it at these addresses, or at those of ``scripts/serve``; return what was in the way."""
    if len(arguments) not in (0, 2):
        return say("two_addresses")
    issuer, shop = arguments or LOCAL
    try:
        main(issuer, shop)
    except SetupError as error:
        return error.said(language())
    except (Unavailable, httpx.HTTPError, httpx.InvalidURL, KeyError, ValueError):
        return say("nothing_there", issuer=issuer, shop=shop)
    except PropylonError as error:
        return say("not_let_in", issuer=issuer, email=SIGN_IN["email"], code=error.code)
    return None


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
