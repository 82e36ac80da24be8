"""Propylon in Django REST framework, on top of ``propylon.adapters.django``.

Example:
    ::

        REST_FRAMEWORK = {
            "DEFAULT_AUTHENTICATION_CLASSES": ["propylon.adapters.drf.PropylonAuthentication"],
            "DEFAULT_PERMISSION_CLASSES": ["propylon.adapters.drf.IsSignedIn"],
            "EXCEPTION_HANDLER": "propylon.adapters.drf.exception_handler",
        }


        class Report(APIView):
            permission_classes = [HasRole("editor") & IsFresh(300)]

            def get(self, request: Request) -> Response: ...

``request.user`` is as in Django, and ``request.auth`` is the ``Principal``. Credentials are refused with the reason,
also by views that let visitors in: whoever presents one is not taken for nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.http import HttpResponse
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from propylon import CredentialRefused, Demand, Forbidden, Principal, PropylonError
from propylon.adapters.django import asking, auth
from propylon.adapters.django_user import SignedIn
from propylon.blocking import Asking
from propylon.core.demand import Names

_REFUSAL = "propylon_refusal"


class PropylonAuthentication(BaseAuthentication):
    """Knows who is calling, by cookie or token. It holds requests with a cookie to the page that sent them."""

    def authenticate(self, request: Request) -> tuple[Any, Principal] | None:
        """Return ``request.user`` and ``request.auth``, or None for a visitor; a bad credential is refused."""
        principal = asking(request).principal_or_none()
        if principal is None:
            return None
        ours = auth()
        return ours.user_of(principal) if ours.user_of else SignedIn(principal, ours.blocking), principal

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - the framework's
        """Return the challenge, with which the framework answers 401 and not 403."""
        return "Bearer"


class DemandPermission(BasePermission):
    """Lets in who meets a demand. Made by ``require`` and its like; combine them by ``&``, ``|`` and ``~``."""

    demand: ClassVar[Demand]

    def has_permission(self, request: Request, view: Any) -> bool:  # noqa: ARG002 - the framework's
        """Return whether the caller may; raise where it is not known who is calling, as their credential is not good.

        Why they may not is remembered, and told if no other permission lets them in: first of all what they can do
        something about, such as giving their password again.
        """
        refusal = _refused(asking(request), self.demand)
        if refusal is not None and not isinstance(getattr(request, _REFUSAL, None), CredentialRefused):
            setattr(request, _REFUSAL, refusal)
        return refusal is None

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:  # noqa: ARG002 - likewise
        """Return the same of every object, so that ``~`` says the opposite of each."""
        return self.has_permission(request, view)


def _refused(asked: Asking, demand: Demand) -> PropylonError | None:
    if asked.principal_or_none() is None:
        return CredentialRefused("credential_missing")
    try:
        asked.require(demand)
    except (CredentialRefused, Forbidden) as refusal:
        return refusal
    return None


def require(
    *, roles: Names = (), permissions: Names = (), scopes: Names = (), fresh_s: int | None = None, left_s: int = 0
) -> type[DemandPermission]:
    """Return a permission class that refuses who does not meet all of this; with nothing, who is not signed in.

    Args:
        roles: that the user must hold.
        permissions: that the user's roles must grant.
        scopes: that an access token must cover.
        fresh_s: the password was given within so many seconds (step-up); else 401 ``reauthentication_required``.
        left_s: an access token is good for so many more seconds; else 401 ``token_expiring``.
    """
    demand = Demand.of(roles=roles, permissions=permissions, scopes=scopes, fresh_s=fresh_s, left_s=left_s)
    return type("Demanded", (DemandPermission,), {"demand": demand})


IsSignedIn = require()


def HasRole(*roles: str) -> type[DemandPermission]:  # noqa: N802 - it makes a class, and reads as one
    """Return a permission class for holders of all these roles."""
    return require(roles=roles)


def HasPermission(*permissions: str) -> type[DemandPermission]:  # noqa: N802 - likewise
    """Return a permission class for those whose roles grant all of these."""
    return require(permissions=permissions)


def HasScope(*scopes: str) -> type[DemandPermission]:  # noqa: N802 - likewise
    """Return a permission class for access tokens that cover all of these."""
    return require(scopes=scopes)


def IsFresh(seconds: int) -> type[DemandPermission]:  # noqa: N802 - likewise
    """Return a permission class for whoever gave the password within so many seconds."""
    return require(fresh_s=seconds)


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response | HttpResponse | None:
    """Answer refusals as Propylon does everywhere, and all else as the framework does."""
    # Not above: the framework's views import the authentication classes of the settings, which are here.
    from rest_framework.views import exception_handler as frameworks_own  # noqa: PLC0415
    from rest_framework.views import set_rollback  # noqa: PLC0415

    error = _refusal(exc, context)
    if error is None:
        return frameworks_own(exc, dict(context))
    set_rollback()
    return auth().refusal(context["request"], error)


def _refusal(exc: Exception, context: Mapping[str, Any]) -> PropylonError | None:
    if isinstance(exc, PropylonError):
        return exc
    if not isinstance(exc, NotAuthenticated | PermissionDenied):
        return None
    ours = _denied_by_ours(context["request"], context["view"])
    return CredentialRefused("credential_missing") if ours is None and isinstance(exc, NotAuthenticated) else ours


def _denied_by_ours(request: Request, view: Any) -> PropylonError | None:
    """Return what is remembered of the permission that denied a request, if one of ours had a part in it.

    The framework tells nobody which one it was, so all are asked again, as it does itself for its pages. A view that
    denies something by itself got past them all, whatever a permission of ours said beside another that let it in.
    """
    if getattr(request, _REFUSAL, None) is None:
        return None
    for permission in view.get_permissions():
        setattr(request, _REFUSAL, None)
        if not permission.has_permission(request, view):
            refusal: PropylonError | None = getattr(request, _REFUSAL)
            return refusal
    return None
