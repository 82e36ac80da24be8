"""Two views: everybody who is signed in reads the notes, editors write them."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path

from propylon.adapters.django import login_required, require

kept: list[str] = []


@login_required
def notes(request: HttpRequest) -> HttpResponse:
    """Return all notes."""
    return JsonResponse({"notes": kept})


@require(roles="editor", fresh_s=300)
def write(request: HttpRequest) -> HttpResponse:
    """Add a note, where the password was given within five minutes."""
    kept.append(request.POST["text"])
    return HttpResponse(status=201)


urlpatterns = [path("notes", notes), path("notes/new", write), path("auth/", include("propylon.adapters.django"))]
