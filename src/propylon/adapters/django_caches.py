"""Caches, Django's own and those in front of it: an answer that depends on who is calling is for nobody else."""

from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase, ResponseHeaders
from django.utils.cache import patch_vary_headers

from propylon.blocking import Asking

_BY_CREDENTIAL = ("Cookie", "Authorization")
# What ``UpdateCacheMiddleware``, and so ``cache_page``, asks a request.
_MAY_BE_KEPT = "_cache_update_cache"
# With one of these, an answer has itself said who may keep it.
_SAID_WHO = frozenset({"public", "private", "no-store"})
# By these a browser keeps an answer, or asks whether the one that it has is still good.
_OF_ITS_AGE = frozenset({"etag", "expires", "last-modified"})


def keep_nowhere(request: Any) -> None:
    """Have Django's own cache keep no answer to a request; None is one that was answered before.

    ``cache_page`` stores an answer before the middleware sees it, and looks at this first. It sets it as the request
    comes by, so only questions below it count: a guard above it lets callers in to an answer that is the same for all.
    """
    if getattr(request, _MAY_BE_KEPT, False):
        setattr(request, _MAY_BE_KEPT, False)
    within = getattr(request, "_request", None)  # the REST framework's request is around Django's
    if within is not None:
        setattr(within, _MAY_BE_KEPT, False)


def nobody_elses(response: HttpResponseBase, asked: Asking) -> HttpResponseBase:
    """Keep an answer that depends on who is calling out of shared caches; add what is told to the caller.

    The one cache that may keep it is the browser's, in which another person may sign in. It goes by what the answer
    says of its age, so one that says nothing needs no ``Vary``: each header takes longer than the whole question.
    """
    if asked.was_asked:
        for name, value in asked.told:
            _add(response, name, value)
        headers = response.headers
        # Nearly always there are two: what it is, and that it is private.
        if _made_private(headers) != "private" or (len(headers) > 2 and _is_of_some_age(headers)):
            patch_vary_headers(response, _BY_CREDENTIAL)
    return response


def private(answer: Any) -> Any:
    """Add to an answer that it is one person's, unless it says who may keep it; whatever else it says stays.

    What is no answer of Django's is left alone: another framework makes one of it.
    """
    if isinstance(answer, HttpResponseBase):
        _made_private(answer.headers)
    return answer


def _made_private(headers: ResponseHeaders) -> str:
    """Return what the answer then says of caches."""
    said: str = headers.get("Cache-Control") or ""
    if said == "private":
        return said
    if not said:
        said = headers["Cache-Control"] = "private"
    elif _SAID_WHO.isdisjoint(word.strip().lower() for word in said.split(",")):
        said = headers["Cache-Control"] = f"{said}, private"
    return said


def _is_of_some_age(headers: ResponseHeaders) -> bool:
    return not _OF_ITS_AGE.isdisjoint(name.lower() for name in headers)


def _add(response: HttpResponseBase, name: str, value: str) -> None:
    """Add a header; what another middleware has said in one of the same name stays."""
    said = response.headers.get(name)
    response.headers[name] = value if said is None else f"{said}, {value}"
