"""Is this request a person opening a page? Then a refusal leads to a page, instead of being one."""

from __future__ import annotations

from urllib.parse import quote

# What is asked of the person, by the code of the refusal. Every other 401 asks for a sign-in.
_CONFIRM = "reauthentication_required"


def whole_path(path: str, root_path: str) -> str:
    """Return the path that the browser asked for, of what an ASGI server says of it.

    The server's ``path`` begins with its ``root_path``; frameworks and proxies may have taken that off.
    """
    if not root_path:
        return path
    root = root_path.rstrip("/")
    return path if path == root or path.startswith(f"{root}/") else root + path


def mounted_at(prefix: str, path: str, root_path: str) -> str | None:
    """Return below what a request reaches Propylon, None where it is for somebody else.

    Args:
        prefix: the path of the public URL. It is what browsers ask for, so the server's ``root_path`` is a part of it;
            where it says nothing of that, Propylon is there below both all the same.
        path: that was asked for, whole.
        root_path: of the server.
    """
    if path.startswith(f"{prefix}/"):
        return prefix
    below_both = root_path.rstrip("/") + prefix
    return below_both if root_path and path.startswith(f"{below_both}/") else None


def is_navigation(method: str, *, sec_fetch_mode: str | None, accept: str | None) -> bool:
    """Return whether a browser is opening a page.

    Args:
        method: of the request. What a form sent is not repeated by a redirect, so only a GET leads elsewhere.
        sec_fetch_mode: the ``Sec-Fetch-Mode`` header, which all browsers since 2023 send; it decides where it is sent.
        accept: the ``Accept`` header, for older ones.
    """
    return method == "GET" and is_for_a_person(sec_fetch_mode=sec_fetch_mode, accept=accept)


def is_for_a_person(*, sec_fetch_mode: str | None, accept: str | None) -> bool:
    """Return whether a browser will show the answer as a page, by whatever method it asks: of a form, too."""
    if sec_fetch_mode is not None:
        return sec_fetch_mode == "navigate"
    return accept is not None and "text/html" in accept.lower()


def page_for(code: str, pages: str, target: str) -> str:
    """Return the address of the page that resolves a refusal with status 401.

    Args:
        code: of the refusal.
        pages: where Propylon's pages are: the path that it is mounted at, or its public URL.
        target: where the person wanted to go: a path with its query, or a whole address; the page leads back to it.
    """
    page = "confirm" if code == _CONFIRM else "login"
    return f"{pages.rstrip('/')}/{page}?next={quote(target, safe='/')}"
