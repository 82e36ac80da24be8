"""Who is calling: what they may do, and what is never shown of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from propylon.core.device import Device
from propylon.core.principal import Credential, Principal
from propylon.errors import Forbidden, PropylonError
from propylon.testing import a_session, a_user

MINJI = Principal(
    user_id="u1",
    session_id="s1",
    credential="cookie",
    roles=frozenset({"editor"}),
    permissions=frozenset({"posts.write"}),
    scopes=frozenset(),
    auth_time=0,
    expires_at=0,
)

OTHER_NAMES = ["", "Editor", "editor ", "edit", "editors", "posts.write", "admin"]


def test_a_role_that_is_held_passes() -> None:
    """And says nothing."""
    MINJI.require_role("editor")


@pytest.mark.parametrize("role", OTHER_NAMES)
def test_a_role_that_is_not_held_is_refused(role: str) -> None:
    """Names are compared exactly; a permission is no role."""
    with pytest.raises(Forbidden) as caught:
        MINJI.require_role(role)
    assert caught.value.code == "forbidden"


def test_a_permission_that_is_granted_passes() -> None:
    """By whichever role."""
    MINJI.require_permission("posts.write")


@pytest.mark.parametrize("permission", ["", "posts", "posts.", "posts.*", "posts.write.all", "Posts.write", "editor"])
def test_a_permission_that_is_not_granted_is_refused(permission: str) -> None:
    """No pattern, no prefix; a role is no permission."""
    with pytest.raises(Forbidden):
        MINJI.require_permission(permission)


@pytest.mark.parametrize("ask", [Principal.data, Principal.user, lambda who: who.update_data(dict)])
def test_where_the_store_is_not_at_hand_nobody_pretends(ask: Callable[[Principal], Any]) -> None:
    """A service that only verifies gets a clear error and no empty data."""
    with pytest.raises(PropylonError, match="not_at_hand"):
        ask(MINJI)


def test_a_principal_cannot_be_promoted() -> None:
    """It is shared between requests: nobody may change it."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        MINJI.roles = frozenset({"admin"})  # type: ignore[misc]
    with pytest.raises(AttributeError):
        MINJI.roles.add("admin")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("thing", "hidden"),
    [
        (Credential("cookie", "hunter2", ambient=True), "hunter2"),
        (a_user(password_hash="$argon2id$hunter2"), "hunter2"),
        (a_user(), "Kim Minji"),
        (a_user(), "example.org"),
        (a_session(salt=b"hunter2 hunter2"), "hunter2"),
        (dataclasses.replace(MINJI, home="hunter2"), "hunter2"),  # type: ignore[arg-type]
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_is_secret_or_personal_is_not_shown(thing: object, hidden: str) -> None:
    """A repr goes to logs and tracebacks."""
    assert hidden not in repr(thing)
    assert hidden not in str([thing])


def test_devices_are_told_apart_by_all_that_is_known() -> None:
    """A device is a value: equal where nothing tells it apart, and frozen."""
    phone = Device("Safari", "iOS", "mobile")
    assert phone == Device("Safari", "iOS", "mobile") != Device("Safari", "iOS", "app")
    with pytest.raises(AttributeError):
        phone.kind = "desktop"  # type: ignore[misc]
