"""Caches, Django's own and those in front of it: an answer that depends on who is calling is for nobody else."""

from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from propylon.blocking import Asking

_BY_CREDENTIAL = ("Cookie", "Authorization")
# What ``UpdateCacheMiddleware``, and so ``cache_page``, asks a request.
_MAY_BE_KEPT = "_cache_update_cache"
# With one of these, an answer has itself said who may keep it.
_SAID_WHO = frozenset({"public", "private", "no-store"})


def keep_nowhere(request: Any) -> None:
    """Have Django's own cache keep no answer to a request; None is one that was answered before.

    ``cache_page`` stores an answer before the middleware sees it, and looks at this first. It sets it as the request
    comes by, so only questions below it count: a guard above it lets callers in to an answer that is the same for all.
    """
    if request is None:
        return
    setattr(request, _MAY_BE_KEPT, False)
    within = getattr(request, "_request", None)  # the REST framework's request is around Django's
    if within is not None:
        setattr(within, _MAY_BE_KEPT, False)


def nobody_elses(response: HttpResponseBase, asked: Asking) -> HttpResponseBase:
    """Keep an answer that depends on who is calling out of shared caches; add what is told to the caller."""
    if asked.was_asked:
        for name, value in asked.told:
            _add(response, name, value)
        if response.has_header("Vary"):
            patch_vary_headers(response, _BY_CREDENTIAL)
        else:
            response.headers["Vary"] = ", ".join(_BY_CREDENTIAL)
        private(response)
    return response


def private(answer: Any) -> Any:
    """Add to an answer that it is one person's, unless it says who may keep it; whatever else it says stays.

    What is no answer of Django's is left alone: another framework makes one of it.
    """
    if isinstance(answer, HttpResponseBase):
        said = answer.headers.get("Cache-Control")
        if not said:
            answer.headers["Cache-Control"] = "private"
        elif said != "private" and _SAID_WHO.isdisjoint(word.strip().lower() for word in said.split(",")):
            answer.headers["Cache-Control"] = f"{said}, private"
    return answer


def _add(response: HttpResponseBase, name: str, value: str) -> None:
    """Add a header; what another middleware has said in one of the same name stays."""
    said = response.headers.get(name)
    response.headers[name] = value if said is None else f"{said}, {value}"
