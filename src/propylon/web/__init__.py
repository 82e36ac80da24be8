"""The pages: values in, HTML out. This room knows neither HTTP nor stores."""

from __future__ import annotations

from propylon.web.assets import ASSETS, Asset
from propylon.web.pages import (
    AccountPage,
    ConsolePage,
    CourseView,
    FieldErrors,
    Frame,
    Pages,
    ProblemPage,
    ProblemRow,
    SessionRow,
    SignInPage,
    SignUpPage,
    StartPage,
    UserView,
)

__all__ = [
    "ASSETS",
    "AccountPage",
    "Asset",
    "ConsolePage",
    "CourseView",
    "FieldErrors",
    "Frame",
    "Pages",
    "ProblemPage",
    "ProblemRow",
    "SessionRow",
    "SignInPage",
    "SignUpPage",
    "StartPage",
    "UserView",
]
