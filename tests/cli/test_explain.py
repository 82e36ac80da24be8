"""``propylon explain``: what the settings mean for people, in plain words."""

from __future__ import annotations

import json
import os
from pathlib import Path
from string import Formatter

import pytest
from tests.cli.conftest import Run
from tests.cli.terminal import run_program

from propylon.cli.explanation import explain, facts
from propylon.config import Config, load
from propylon.core.session import MODES, Mode
from propylon.language import LANGUAGES, catalogue, span

VARIATIONS: list[dict[str, str]] = [
    {},
    {"PUBLIC_URL": "https://id.example.com"},
    {"IDLE_TTL_S": "3600", "ABSOLUTE_TTL_S": "3600", "REFRESH_GRACE_S": "0"},
    {"SESSION_LIMIT": "2"},
    {"SESSION_LIMIT": "5, desktop=2, mobile=1, app=3, role:admin=1", "SESSION_LIMIT_POLICY": "refuse_newest"},
    {"SIGN_UP": "closed", "CSRF_STRICT": "true", "ORIGINS": "https://shop.example.com"},
    {"ROLES": "admin=users.read users.write, guest="},
    {"STORE": "memory://"},
    {"STORE": "postgresql://h/p", "ALGORITHM": "HS256"},
    {"SESSION_STORE": "redis://h"},
    {"STORE": "postgresql://h/p", "SESSION_STORE": "redis://h"},
    {"SESSION_STORE": "redis://h", "UNSAFE_FEED_SILENCE": "a trial"},
]
ELSEWHERE = {"ending_elsewhere", "ending_signature", "away_elsewhere"}
AWAY = {"away_sign_in", "away_after", "away_back", "away_commands", "ending_heard", "ending_unheard"}


def settings(changes: dict[str, str]) -> Config:
    """Return settings by their variables, without the prefix."""
    return load({f"PROPYLON_{name}": value for name, value in changes.items()}, file=Path(os.devnull))


def keys(config: Config, mode: Mode) -> list[str]:
    """Return the keys of all sentences."""
    return [sentence.key for section in explain(config, mode) for sentence in section.sentences]


@pytest.mark.parametrize("changes", VARIATIONS, ids=str)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_exists_and_gets_its_facts(language: str, mode: Mode, changes: dict[str, str]) -> None:
    """In both languages, whatever is set; and no section is empty."""
    texts = catalogue(language)
    for section in explain(settings(changes), mode):
        assert section.sentences
        assert f"cli.explain.title.{section.name}" in texts
        for sentence in section.sentences:
            needed = {name for _, name, _, _ in Formatter().parse(texts[f"cli.explain.{sentence.key}"]) if name}
            assert needed == {name.removesuffix("_s") for name in sentence.facts}


@pytest.mark.parametrize(
    ("changes", "said", "not_said"),
    [
        (
            {},
            {"staying", "no_limit", "sign_up_open", "csrf", "no_origins", "no_roles", "cookie_plain"},
            {"evict_oldest"},
        ),
        ({"SESSION_LIMIT": "2"}, {"limit_user", "evict_oldest"}, {"no_limit", "refuse_newest"}),
        ({"SESSION_LIMIT": "role:admin=1"}, {"limit_role", "evict_oldest"}, {"no_limit", "limit_user"}),
        (VARIATIONS[4], {"limit_desktop", "limit_mobile", "limit_app", "refuse_newest"}, {"evict_oldest"}),
        (VARIATIONS[2], {"staying_absolute"}, {"staying"}),
        (VARIATIONS[5], {"sign_up_closed", "csrf_strict", "origins"}, {"sign_up_open", "csrf", "no_origins"}),
        (VARIATIONS[6], {"role", "role_bare"}, {"no_roles"}),
        ({"PUBLIC_URL": "https://id.example.com"}, {"cookie_secure", "sign_up_closed"}, {"cookie_plain"}),
    ],
    ids=lambda value: str(value if isinstance(value, dict) else sorted(value)),
)
def test_each_setting_changes_what_is_said(changes: dict[str, str], said: set[str], not_said: set[str]) -> None:
    """A sentence is there when it is true, and only then."""
    told = set(keys(settings(changes), "cookie"))
    assert said <= told
    assert told.isdisjoint(not_said)


@pytest.mark.parametrize(
    ("mode", "said", "not_said"),
    [
        ("cookie", {"travel_cookie", "remember", "stolen_cookie", "access_by_cookie"}, {"refresh", "stolen_refresh"}),
        ("bearer", {"travel_bearer", "access", "refresh", "grace", "stolen_refresh"}, {"remember", "stolen_cookie"}),
        ("hybrid", {"travel_hybrid", "access", "refresh", "remember", "stolen_refresh"}, {"stolen_cookie"}),
    ],
)
def test_each_mode_is_explained_for_itself(mode: Mode, said: set[str], not_said: set[str]) -> None:
    """Nobody reads about a refresh token that they will never see."""
    told = set(keys(settings({}), mode))
    assert said <= told
    assert told.isdisjoint(not_said)


@pytest.mark.parametrize(
    ("changes", "mode", "said", "not_said"),
    [
        (VARIATIONS[0], "cookie", {"kept_sqlite", "file_unwritable", "file_gone", "ending"}, AWAY | {"away_refresh"}),
        (VARIATIONS[0], "bearer", {"file_unwritable", "away_refresh", "ending"}, AWAY),
        (VARIATIONS[7], "cookie", {"kept_memory", "ending"}, AWAY | {"file_gone", "file_unwritable", "away_ready"}),
        (VARIATIONS[8], "cookie", AWAY | {"kept_postgres", "away_cookie"}, ELSEWHERE | {"away_token", "redis_lost"}),
        (VARIATIONS[9], "bearer", AWAY | {"away_token", "redis_lost", "accounts_unwritable"}, {"away_cookie"}),
        (VARIATIONS[9], "hybrid", AWAY | ELSEWHERE | {"away_token", "away_cookie"}, {"accounts_away", "file_gone"}),
        (VARIATIONS[10], "cookie", AWAY | {"accounts_away", "accounts_away_cookie"}, {"accounts_away_token"}),
        (VARIATIONS[10], "bearer", AWAY | {"accounts_away", "accounts_away_token"}, {"accounts_away_cookie"}),
        (
            VARIATIONS[11],
            "hybrid",
            {"away_unsafe", "away_elsewhere_unsafe", "ending_unsafe"},
            {"away_after", "away_elsewhere", "ending_unheard"},
        ),
    ],
    ids=lambda value: str(value if isinstance(value, dict | str) else sorted(value)),
)
def test_each_store_fails_in_its_own_way(
    changes: dict[str, str], mode: Mode, said: set[str], not_said: set[str]
) -> None:
    """Nobody reads about a server that they do not run, nor a promise that they have given up."""
    told = set(keys(settings(changes), mode))
    assert said <= told
    assert told.isdisjoint(not_said)


def test_no_sentence_is_left_that_nobody_is_told() -> None:
    """Costs and moments are told of in a file of their own."""
    told = {key for changes in VARIATIONS for mode in MODES for key in keys(settings(changes), mode)}
    kept = {key.removeprefix("cli.explain.") for key in catalogue("en") if key.startswith("cli.explain.")}
    spoken_elsewhere = {key for key in kept if key.startswith(("title.", "cost_", "measured_"))}
    assert kept - spoken_elsewhere - told == {"sign_up_verified"}  # no settings choose it before mail exists


def test_how_long_it_takes_is_in_the_facts() -> None:
    """In seconds; nothing where there is nobody to be late, or no key that another service could have."""
    told = facts(settings({"SESSION_STORE": "redis://h", "FEED_MAX_SILENCE_S": "9"}), "cookie")
    assert told["stores"] == {"accounts": "sqlite", "sessions": "redis"}
    assert told["until_out"] == {
        "server_that_answered_s": 0,
        "every_server_s": 9,
        "service_with_feed_s": 15,
        "service_without_feed_s": 300,
    }
    assert told["session_store_away"] == {"cookie_s": 9, "token_s": 9}
    alone = facts(settings({"ALGORITHM": "HS256"}), "cookie")
    assert alone["session_store_away"] is None
    assert alone["until_out"]["every_server_s"] == 0
    assert alone["until_out"]["service_with_feed_s"] is None


def test_json_gives_the_facts_and_the_sentences(program: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Durations in seconds for programs; the same sentences as for people."""
    monkeypatch.setenv("PROPYLON_SESSION_LIMIT", "5, mobile=1, role:admin=2")
    ran = program("explain", "--json")
    told = json.loads(ran.out)
    sentences, measured = told.pop("sentences"), told.pop("measured")
    assert measured["figures"] == []
    assert told["access_ttl_s"] == 300
    assert told["session_limit"] == {
        "per_user": 5,
        "per_kind": {"mobile": 1},
        "per_role": {"admin": 2},
        "policy": "evict_oldest",
    }
    assert told == json.loads(json.dumps(facts(load(file=Path(os.devnull)), "cookie")))
    assert any("7 days" in sentence and "30 days" in sentence for sentence in sentences)


def test_people_read_durations_in_their_words(tmp_path: Path) -> None:
    """Seven days are seven days, not 604800."""
    english = run_program(tmp_path, "explain", "--mode", "bearer").out
    assert "comes back within 7 days stays signed in, at the longest for 30 days" in " ".join(english.split())
    assert "An access token lives 5 minutes" in english
    assert "604800" not in english
    korean = run_program(tmp_path, "explain", LC_ALL="ko_KR.UTF-8").out
    assert "7일 안에 다시 오면" in " ".join(korean.split())
    assert "5분" in korean


def test_what_mode_set_said_wins_over_the_setting(program: Run) -> None:
    """The store decides for all servers; --mode asks about another without changing anything."""
    program("mode", "set", "hybrid")
    assert json.loads(program("explain", "--json").out)["mode"] == "hybrid"
    assert json.loads(program("explain", "--json", "--mode", "bearer").out)["mode"] == "bearer"
    assert json.loads(program("mode", "show", "--json").out)["mode"] == "hybrid"


@pytest.mark.parametrize("store", ["memory://", "sqlite:////nowhere/p.db"])
def test_settings_are_explained_without_a_store(program: Run, store: str) -> None:
    """Before the first start, and for a store that lives in the server alone."""
    ran = program("explain", "--json", "--store", store)
    assert (ran.status, ran.err) == (0, "")
    assert json.loads(ran.out)["mode"] == "cookie"


@pytest.mark.parametrize(
    ("duration_s", "english", "korean"),
    [
        (0, "0 seconds", "0초"),
        (1, "1 second", "1초"),
        (59, "59 seconds", "59초"),
        (60, "1 minute", "1분"),
        (300, "5 minutes", "5분"),
        (5_400, "1 hour 30 minutes", "1시간 30분"),
        (86_400, "1 day", "1일"),
        (604_800, "7 days", "7일"),
        (90_061, "1 day 1 hour 1 minute 1 second", "1일 1시간 1분 1초"),
        (400 * 86_400, "400 days", "400일"),
    ],
)
def test_a_duration_is_said_exactly(duration_s: int, english: str, korean: str) -> None:
    """Nothing is rounded: these are promises."""
    assert (span("en", duration_s), span("ko", duration_s)) == (english, korean)
