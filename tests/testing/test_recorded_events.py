"""The security log as a test asks it: right answers, readable failures, and no question that means nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from propylon.testing import SecurityEvents, a_session, a_user
from propylon.testing.security_events import VOCABULARY

SOURCE = Path(__file__).parents[2] / "src/propylon"


@pytest.fixture
def events() -> SecurityEvents:
    """Two failures and a success."""
    recorded = SecurityEvents()
    recorded.record("authn_login_fail", user="user-1", source="192.0.2.1", reason="credentials_wrong")
    recorded.record("authn_login_fail", user=None, source="192.0.2.1", reason="credentials_wrong")
    recorded.record("authn_login_success", user="user-1", session="s", mode="cookie")
    return recorded


def test_what_was_recorded_is_found_by_name_and_facts(events: SecurityEvents) -> None:
    """A fact is a value, or the record that has it as its id; None is a value like others."""
    assert events.has("authn_login_fail", user=a_user(), reason="credentials_wrong")
    assert events.has("authn_login_success", session=a_session(id="s"))
    assert [event.facts["user"] for event in events.all("authn_login_fail")] == ["user-1", None]
    assert events.assert_recorded("authn_login_fail", user=None).facts["source"] == "192.0.2.1"
    assert len(events) == 3


@pytest.mark.parametrize(
    ("event", "facts"),
    [
        ("authn_login_fail", {"user": "user-2"}),
        ("authn_login_fail", {"user": "user-1", "reason": "user_disabled"}),
        ("authn_login_success", {"user": None}),
        ("user_disabled", {}),
    ],
)
def test_what_was_not_recorded_is_not_found(events: SecurityEvents, event: str, facts: dict[str, Any]) -> None:
    """All facts must fit; the failure lists what there was instead."""
    assert not events.has(event, **facts)
    events.assert_not_recorded(event, **facts)
    with pytest.raises(AssertionError) as failure:
        events.assert_recorded(event, **facts)
    said = str(failure.value)
    assert said.startswith(f"not recorded: {event}")
    assert "\n  authn_login_success user='user-1' session='s' mode='cookie'" in said


def test_a_recorded_event_fails_the_test_that_forbids_it(events: SecurityEvents) -> None:
    """And one that was recorded another number of times fails the one that counts."""
    with pytest.raises(AssertionError, match=r"^recorded: authn_login_success"):
        events.assert_not_recorded("authn_login_success", user="user-1")
    with pytest.raises(AssertionError, match=r"^2 times: authn_login_fail"):
        events.assert_recorded("authn_login_fail", times=1)
    with pytest.raises(AssertionError, match="not recorded"):
        events.assert_recorded("user_created", times=0)


def test_nothing_is_said_to_be_nothing() -> None:
    """An empty log is listed as such."""
    with pytest.raises(AssertionError, match="recorded was:\n  nothing"):
        SecurityEvents().assert_recorded("user_created")


def test_what_was_cleared_is_forgotten(events: SecurityEvents) -> None:
    """A test may set out from here."""
    events.clear()
    assert len(events) == 0
    assert not events.has("authn_login_success")


@pytest.mark.parametrize("ask", ["all", "has", "assert_recorded", "assert_not_recorded"])
@pytest.mark.parametrize(
    ("event", "facts", "said"),
    [
        ("authn_login_fial", {}, "no event is called 'authn_login_fial'"),
        ("login", {}, "there are authn_confirmed"),
        ("authn_login_fail", {"usr": "user-1"}, "never tells usr"),
        ("authn_login_fail", {"session": "s"}, "it may tell reason, source, user"),
    ],
)
def test_a_question_that_can_never_be_answered_yes_is_refused(
    events: SecurityEvents, ask: str, event: str, facts: dict[str, str], said: str
) -> None:
    """A misspelt event was never recorded: a test that relied on it would hold for ever."""
    with pytest.raises(ValueError, match=said):
        getattr(events, ask)(event, **facts)


def told() -> Iterator[tuple[str, frozenset[str]]]:
    """Return every event that the source records with its facts."""
    for path in SOURCE.rglob("*.py"):
        if "testing" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "record":
                names = [word.value for word in ast.walk(node.args[0]) if isinstance(word, ast.Constant)]
                facts = frozenset(keyword.arg for keyword in node.keywords if keyword.arg is not None)
                yield from ((str(name), facts) for name in names)


def test_the_vocabulary_is_that_of_the_source() -> None:
    """An event, or a fact of one, that is added there is added here, and what is here is told there."""
    found: dict[str, frozenset[str]] = {}
    for name, facts in told():
        found[name] = found.get(name, frozenset()) | facts
    by_outcome = {name: VOCABULARY[name] for name in ("token_rotated", "token_repeated", "token_late")}
    assert found | by_outcome == VOCABULARY
    assert len(found) > 10
