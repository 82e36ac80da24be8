"""Settings: where they come from, which are refused and how that is said, and that no secret is repeated."""

from __future__ import annotations

import logging
import math
import re
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import settings_page

from propylon import Propylon
from propylon.config import DAY_S, PREFIX, SETTINGS, Config, is_set, load, made_of, unknown_variables
from propylon.core.limits import SessionLimits
from propylon.core.network import Networks
from propylon.errors import SetupError
from propylon.language import LANGUAGES

RANDOM_KEY = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"


@pytest.fixture(autouse=True)
def somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty directory: no settings file is there unless a test writes one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str) -> None:
    """Write the settings file of the working directory."""
    Path("propylon.toml").write_text(text)


def sentence(environ: dict[str, str] | None = None, **overrides: Any) -> str:
    """Return the one sentence that stops the start; fail where it starts."""
    with pytest.raises(SetupError) as caught:
        load(environ or {}, overrides=overrides)
    said = str(caught.value)
    assert said.endswith((".", "?"))  # "Did you mean ...?" comes last
    assert "\n" not in said
    assert caught.value.__cause__ is None
    return said


# Every setting, as text, as a value of TOML, and what it is read as.
READ: list[tuple[str, str, Any, Any]] = [
    ("public_url", "https://ID.example:443/", "https://ID.example:443/", "https://id.example"),
    ("store", "memory://", "memory://", "memory://"),
    ("session_store", " redis://host ", "redis://host", "redis://host"),
    ("key", f"k1 {RANDOM_KEY}", f"k1 {RANDOM_KEY}", f"k1 {RANDOM_KEY}"),
    ("key_file", " keys/ring ", "keys/ring", "keys/ring"),
    ("mode", "hybrid", "hybrid", "hybrid"),
    ("sign_up", "closed", "closed", "closed"),
    ("audience", "https://api.example", "https://api.example", "https://api.example"),
    ("algorithm", "EdDSA", "EdDSA", "EdDSA"),
    ("access_ttl_s", "60", 60, 60),
    ("idle_ttl_s", " 3600 ", 3600, 3600),
    ("absolute_ttl_s", "86400", 86400, 86400),
    ("refresh_grace_s", "0", 0, 0),
    ("activity_interval_s", "5", 5, 5),
    ("signing_key_ttl_s", "3600", 3600, 3600),
    ("feed_max_silence_s", "10", 10, 10),
    ("unsafe_feed_silence", " we accept it ", "we accept it", "we accept it"),
    ("session_limit", "3", 3, SessionLimits(per_user=3)),
    ("roles", "a=x y,b", {"a": ["x", "y"], "b": []}, {"a": ("x", "y"), "b": ()}),
    ("origins", "https://a.example, https://B.example/", ["https://a.example", "https://B.example/"],
     ("https://a.example", "https://b.example")),
    ("trusted_proxies", "10.0.0.0/8, ::1", ["10.0.0.0/8", "::1"], Networks.parse("10.0.0.0/8,::1")),
    ("bridge", " bridge.toml ", "bridge.toml", "bridge.toml"),
    ("csrf_strict", "yes", True, True),
    ("metrics_token", "scrape-me-please", "scrape-me-please", "scrape-me-please"),
    ("password_profile", "rfc9106_low_memory", "rfc9106_low_memory", "rfc9106_low_memory"),
    ("hash_threads", "2", 2, 2),
    ("hash_queue", "1", 1, 1),
    ("site_name", "아고라", "아고라", "아고라"),
    ("log_level", "debug", "debug", "debug"),
]  # fmt: skip


def as_toml(name: str, value: Any) -> str:
    """Write one line of the settings file."""
    if isinstance(value, dict):
        return f"[{name}]\n" + "\n".join(
            f'"{key}" = {msgspec.json.encode(entry).decode()}' for key, entry in value.items()
        )
    return f"{name} = {msgspec.json.encode(value).decode()}"


def test_every_setting_is_read_somewhere_below() -> None:
    """Whoever adds one adds its line; the policy goes with the limit."""
    assert [name for name, *_ in READ] == [name for name in SETTINGS if name != "session_limit_policy"]
    assert list(Config.__struct_fields__) == [name for name, *_ in READ]


def test_there_are_few_settings() -> None:
    """Thirty are as many as anybody can know."""
    assert len(Config.__struct_fields__) <= 30


@pytest.mark.parametrize(("name", "text", "value", "expected"), READ, ids=[name for name, *_ in READ])
def test_a_setting_is_read_from_the_environment_the_file_and_by_name(
    name: str, text: str, value: Any, expected: Any
) -> None:
    """The same from everywhere."""
    assert getattr(load({PREFIX + name.upper(): text}), name) == expected
    assert getattr(load({}, overrides={name: value}), name) == expected
    assert getattr(made_of({name: value}), name) == expected
    write(as_toml(name, value))
    assert getattr(load({}), name) == expected


@pytest.mark.parametrize(("name", "text", "value", "expected"), READ, ids=[name for name, *_ in READ])
def test_no_setting_has_its_value_anyway(name: str, text: str, value: Any, expected: Any) -> None:
    """The tests above could fail."""
    default = getattr(load({"PROPYLON_PUBLIC_URL": "http://127.0.0.1"}), name)
    assert default != expected


def test_the_file_gives_way_to_the_environment_and_that_to_the_command_line() -> None:
    """Each only for the settings that it names."""
    write('site_name = "file"\nmode = "bearer"\nhash_queue = 7\n')
    environ = {"PROPYLON_SITE_NAME": "environment", "PROPYLON_MODE": "hybrid"}
    config = load(environ, overrides={"site_name": "option", "mode": None})
    assert (config.site_name, config.mode, config.hash_queue) == ("option", "hybrid", 7)


def test_another_file_can_be_named(somewhere_else: Path) -> None:
    """By ``PROPYLON_CONFIG`` or by the caller, who wins."""
    write('site_name = "default"')
    for name in ("a", "b"):
        Path(f"{name}.toml").write_text(f'site_name = "{name}"')
    assert load({"PROPYLON_CONFIG": "a.toml"}).site_name == "a"
    assert load({"PROPYLON_CONFIG": "a.toml"}, file=somewhere_else / "b.toml").site_name == "b"
    assert load({"PROPYLON_CONFIG": ""}).site_name == "default"


def test_settings_by_name_read_nothing_else() -> None:
    """An app that says what it wants gets that, whatever file lies where it was started."""
    write('site_name = "a stray file"')
    assert Propylon(mode="bearer").config.site_name == "Propylon"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"site_name = ", "is no TOML"),
        (b"\xff\xfe", "cannot be read"),
        (b"site_name = 'a'\nsite_name = 'b'", "is no TOML"),
        (b"publik_url = 'x'", r"'publik_url' that does not exist\. Did you mean public_url\?"),
        (b"public-url = 'x'", r"Did you mean public_url\?"),
        (b"PROPYLON_STORE = 'x'", r"Did you mean store\?"),
        (b"[propylon]\nmode = 'cookie'", r"'propylon' that does not exist\. See docs/settings\.md"),
        (b"unsafe_everything = true", r"See docs/settings\.md"),
    ],
)
def test_a_file_that_is_wrong_stops_the_start(content: bytes, said: str) -> None:
    """One sentence names the file and what is the matter with it."""
    Path("propylon.toml").write_bytes(content)
    assert re.match(f"(The settings file )?propylon.toml .*{said}", sentence())


def test_a_named_file_that_is_not_there_stops_the_start() -> None:
    """Only the one of the working directory may be missing; a directory is no file either."""
    assert sentence({"PROPYLON_CONFIG": "gone.toml"}).startswith("There is no settings file gone.toml")
    assert "cannot be read" in sentence({"PROPYLON_CONFIG": "."})


@pytest.mark.parametrize("name", ["publc_url", "PUBLIC_URL", "PROPYLON_PUBLIC_URL", "public-url"])
def test_an_unknown_name_is_refused_with_the_nearest(name: str) -> None:
    """A misspelled setting must not be a default in silence."""
    with pytest.raises(SetupError, match=r"There is no setting .* Did you mean public_url\?"):
        made_of({name: "https://id.example"})


def test_variables_that_nothing_reads_are_found() -> None:
    """The start warns of them: other software may share the prefix."""
    environ = {"PROPYLON_MODE": "x", "PROPYLON_PORT": "1", "PATH": "x", "PROPYLON_ZZZZ": "x"}
    assert unknown_variables(environ) == ["PROPYLON_ZZZZ"]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("MODEE", "MODE"), ("STOER", "STORE"), ("SING_UP", "SIGN_UP"), ("WORKER", "WORKERS"), ("ORIGIN", "ORIGINS")],
)
def test_a_variable_that_is_nearly_one_of_ours_stops_the_start(name: str, nearest: str) -> None:
    """As a misspelt line of the file does: what it was to set would be a default in silence."""
    with pytest.raises(SetupError, match=rf"'PROPYLON_{name}'\. Did you mean PROPYLON_{nearest}\?"):
        load({f"PROPYLON_{name}": "x"})


# What Kubernetes tells every container of a service called "propylon", and what the shop and the agora are told.
OF_OTHERS = (
    "SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT_8000_TCP", "PORT_8000_TCP_PROTO", "PORT_8000_TCP_PORT",
    "PORT_8000_TCP_ADDR", "SHOP_PORT", "URL", "AGORA_KEYS", "AGORA_ISSUER", "AGORA_NAIVE", "AGORA_OPEN",
)  # fmt: skip


@pytest.mark.parametrize("name", OF_OTHERS)
def test_a_variable_of_others_stops_nothing(name: str) -> None:
    """They share the prefix with ours and no more."""
    assert load({f"PROPYLON_{name}": "x"}) == load({})


def test_whether_a_setting_was_given_can_be_asked() -> None:
    """By file or environment, also where it was given its default."""
    write("hash_queue = 64")
    assert is_set("hash_queue", {})
    assert is_set("mode", {"PROPYLON_MODE": "cookie"})
    assert not is_set("mode", {})


# What is wrong with each, by the words that tell how to correct it.
WRONG: list[tuple[str, str, str]] = [
    *(("public_url", text, "https?://|host, a port and a path|ASCII") for text in
      ("", "id.example", "ftp://id.example", "https://id.example?x", "https://id.example:99999", "https://한글.kr")),
    ("public_url", "http://id.example", "plain http.*https://"),
    ("public_url", "http://192.0.2.1:8000", "plain http.*https://"),
    ("public_url", "http://localhost.example", "plain http.*https://"),
    ("public_url", "https://admin:hunter2@id.example", "no user name and no password"),
    ("key", "hunter2", "<id> <key>"),
    ("key", "k1 hunter2", "32 bytes"),
    ("key", "k1 " + "00" * 32, "not random: make one with"),
    ("key", f"hunter2 {RANDOM_KEY}, hunter2 {RANDOM_KEY}", "an id twice"),
    ("mode", "", "none of cookie, bearer, hybrid"),
    ("mode", "Cookie", "none of cookie, bearer, hybrid"),
    ("mode", "jwt", "none of cookie, bearer, hybrid"),
    ("sign_up", "invite", "none of open, verified, closed"),
    ("sign_up", "verified", "needs mail.*choose open or closed"),
    ("audience", "a\x00b", "one line"),
    ("audience", "a\nb", "one line"),
    ("audience", "a" * 256, "at most 255"),
    *(("algorithm", text, "none of ES256, EdDSA, RS256, HS256") for text in ("none", "es256", "PS256", "")),
    *((name, text, "whole number of seconds") for name in SETTINGS if name.endswith("_s")
      for text in ("", "x", "-1", "1.5", "1e3", "+5", "٣", "0x10", "1 2", "5s", "true", "nan")),
    *((name, text, r"from \d+ to \d+ seconds") for name in SETTINGS if name.endswith("_s")
      for text in ("999999999", "9" * 30)),
    ("access_ttl_s", "0", "from 1 to 3600"),
    ("access_ttl_s", "3601", "from 1 to 3600"),
    ("idle_ttl_s", "0", "from 1"),
    ("absolute_ttl_s", "34560001", "to 34560000"),
    ("refresh_grace_s", "301", "from 0 to 300"),
    ("signing_key_ttl_s", "3599", "from 3600"),
    ("feed_max_silence_s", "0", "from 1 to 300"),
    ("unsafe_feed_silence", "x" * 201, "one line of at most 200"),
    *(("session_limit", text, "whole number|from 1 to 10000|none of user, desktop, mobile, app|not a role|twice")
      for text in ("-1", "x", "5.0", "desktop=0", "desktop=", "tablet=1", "=5", "5=desktop", "role:=1", "role:a b=1",
                   "10001", "role:admin", "5,6", "user=5,6", "desktop=1,desktop=2", "role:a=1,role:a=2", "True")),
    ("session_limit_policy", "newest", "none of evict_oldest, refuse_newest"),
    *(("roles", text, "not a role|twice|not a permission") for text in
      ("a b=x", "관리자=x", "=x", "a/b=x", "...=x", "a\nb=x", "a=x,a=y", "a" * 65 + "=x", "a=x\x00", "a=권한", 'a="x"',
       "a=" + "x" * 65, "a=x\\y")),
    ("origins", "*", "every site.*name the origins"),
    ("origins", "https://a.example, *", "every site"),
    ("origins", "https://*.example", "plain characters"),
    ("origins", "null", "https?://"),
    ("origins", "https://a.example/app", "without a path"),
    ("origins", "http://a.example", "plain http"),
    ("origins", "https://me:hunter2@a.example", "no user name and no password"),
    *(("trusted_proxies", text, "strangers.*name your own") for text in
      ("0.0.0.0/0", "::/0", "10.0.0.0/8,0.0.0.0/0", "0.0.0.0/7", "2000::/3")),
    *(("trusted_proxies", text, "neither an address nor a network.*10.0.0.0/8") for text in
      ("*", "10.0.0.1/8", "10.0.0", "proxy.local", "10.0.0.0/33")),
    *(("csrf_strict", text, "neither true nor false") for text in ("2", "maybe", "None", "truee")),
    *(("metrics_token", text, "at least 8 visible ASCII") for text in
      ("hunter2", "hunter2 hunter2", "hunter2\x00hunter2", "hunter2헌터헌터")),
    ("password_profile", "cheapest", "none of owasp, rfc9106_low_memory, unsafe_cheapest"),
    ("hash_threads", "65", "from 0 to 64"),
    ("hash_threads", "-1", "whole number"),
    ("hash_queue", "0", "from 1 to 10000"),
    ("site_name", "", "it is empty"),
    ("site_name", "a\nb", "one line"),
    ("site_name", "a\u202eb", "one line"),
    ("site_name", "\udcff", "one line"),
    ("site_name", "a" * 101, "at most 100"),
    ("log_level", "INFO", "none of debug, info, warning, error"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "said"), WRONG, ids=[f"{name} {text[:20]!a}" for name, text, _ in WRONG])
def test_a_wrong_value_stops_the_start_with_what_to_change(name: str, text: str, said: str) -> None:
    """The sentence names the setting as it was given, helps, and repeats nothing that may be a secret."""
    told = sentence({PREFIX + name.upper(): text})
    assert told.startswith(f"{PREFIX}{name.upper()}")
    assert re.search(said, told), told
    assert "hunter2" not in told
    assert RANDOM_KEY not in told


def test_every_setting_that_can_be_wrong_is_refused_somewhere_above() -> None:
    """Paths and URLs of stores and of the bridge are looked at when they are opened."""
    assert {name for name, *_ in WRONG} == set(SETTINGS) - {"store", "session_store", "key_file", "bridge"}


@pytest.mark.parametrize("name", list(SETTINGS))
def test_a_value_of_another_type_is_refused(name: str) -> None:
    """TOML has dates, floats, lists and tables; none is taken for text in silence."""
    for value in ([[1]], 1.5, {"x": {"y": 1}}):
        with pytest.raises(SetupError, match=f"^{name} is not usable: "):
            made_of({name: value})


def test_a_huge_value_is_not_repeated_whole() -> None:
    """A sentence stays a sentence."""
    for name in ("mode", "hash_queue", "csrf_strict", "origins", "roles", "session_limit", "trusted_proxies"):
        assert len(sentence({PREFIX + name.upper(): "<" * 100_000})) < 400
    with pytest.raises(SetupError) as caught:
        made_of({"x" * 100_000: 1})
    assert len(str(caught.value)) < 400


@given(name=st.sampled_from(sorted(SETTINGS)), text=st.text(max_size=60))
def test_any_text_is_read_or_refused_by_one_sentence(name: str, text: str) -> None:
    """Never by a traceback: any other error fails this test."""
    with suppress(SetupError):
        assert isinstance(made_of({name: text}), Config)


CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"idle_ttl_s": 61, "absolute_ttl_s": 60}, r"PROPYLON_IDLE_TTL_S \(61\) is longer than .*\(60\).*lower.*raise"),
    ({"access_ttl_s": 61, "absolute_ttl_s": 60}, r"PROPYLON_ACCESS_TTL_S \(61\) is longer than .*\(60\)"),
    ({"idle_ttl_s": 31 * DAY_S}, r"PROPYLON_IDLE_TTL_S \(2678400\) is longer than .*\(2592000\)"),
]


@pytest.mark.parametrize(("named", "said"), CONTRADICTIONS, ids=[str(list(named)) for named, _ in CONTRADICTIONS])
def test_settings_that_contradict_each_other_stop_the_start(named: dict[str, Any], said: str) -> None:
    """Neither is dropped in silence."""
    told = sentence(**named)
    assert re.search(said, told), told
    assert "hunter2" not in told


def test_a_contradiction_makes_no_config_at_all() -> None:
    """Not even by construction: whoever holds one needs no further checks."""
    with pytest.raises(SetupError, match="plain http"):
        Config(public_url="http://id.example")
    with pytest.raises(SetupError, match="longer than"):
        msgspec.structs.replace(Config(), absolute_ttl_s=60)


@pytest.mark.parametrize("absolute_ttl_s", [1, 60, 299, 300, 301, 7 * DAY_S, 400 * DAY_S])
def test_lives_that_nobody_set_give_way_to_the_absolute_one(absolute_ttl_s: int) -> None:
    """To shorten everything one setting is enough."""
    config = load({"PROPYLON_ABSOLUTE_TTL_S": str(absolute_ttl_s)})
    assert config.access_ttl_s == min(300, absolute_ttl_s)
    assert config.idle_ttl_s == min(7 * DAY_S, absolute_ttl_s)


def test_the_same_store_twice_is_no_contradiction() -> None:
    """Saying it is allowed, in any order."""
    assert load({"PROPYLON_SESSION_STORE": "memory://", "PROPYLON_STORE": "memory://"}).store == "memory://"


@pytest.mark.parametrize(
    ("public_url", "sign_up"),
    [("http://localhost:8000", "open"), ("http://127.0.0.1", "open"), ("https://id.example", "closed")],
)
def test_sign_up_is_open_by_default_on_this_machine_only(public_url: str, sign_up: str) -> None:
    """A public service does not take accounts before its operator says so; what was said counts anywhere."""
    assert load({}, overrides={"public_url": public_url}).sign_up == sign_up
    assert load({}, overrides={"public_url": public_url, "sign_up": "closed"}).sign_up == "closed"
    assert load({}, overrides={"public_url": public_url, "sign_up": "open"}).sign_up == "open"


LIMITS: list[tuple[str, Any, SessionLimits]] = [
    ("", [], SessionLimits()),
    ("0", 0, SessionLimits()),
    ("5", 5, SessionLimits(per_user=5)),
    ("user=5", {"user": 5}, SessionLimits(per_user=5)),
    ("10000", {"user": "10000"}, SessionLimits(per_user=10_000)),
    ("desktop=2,mobile=1", {"desktop": 2, "mobile": 1}, SessionLimits(per_kind={"desktop": 2, "mobile": 1})),
    (" 5 , app = 3 ", ["5", "app=3"], SessionLimits(per_user=5, per_kind={"app": 3})),
    ("5,role:admin=1", {"user": 5, "role:admin": 1}, SessionLimits(per_user=5, per_role={"admin": 1})),
    ("0,role:a.b:c=2", {"role:a.b:c": 2}, SessionLimits(per_role={"a.b:c": 2})),
]


@pytest.mark.parametrize(("text", "value", "expected"), LIMITS, ids=[repr(text) for text, *_ in LIMITS])
def test_a_session_limit_has_several_forms(text: str, value: Any, expected: SessionLimits) -> None:
    """A number, one line, or a table."""
    assert load({"PROPYLON_SESSION_LIMIT": text}).session_limit == expected
    assert made_of({"session_limit": value}).session_limit == expected


def test_the_policy_goes_with_the_limit_from_wherever_it_comes() -> None:
    """Also where one stands in the file and the other in the environment."""
    write("session_limit = 2")
    limit = load({"PROPYLON_SESSION_LIMIT_POLICY": "refuse_newest"}).session_limit
    assert limit == SessionLimits(per_user=2, policy="refuse_newest")
    assert load({}).session_limit.policy == "evict_oldest"


def test_a_config_cannot_be_changed() -> None:
    """What was checked at the start is what holds."""
    config = load({})
    with pytest.raises(AttributeError):
        config.mode = "bearer"  # type: ignore[misc]


@pytest.mark.parametrize(
    "store",
    [
        "postgresql://user:hunter2@host/db",
        "postgresql://hunter2@host/db",
        "postgresql://user:pass/hunter2@host/db",
        "postgresql://user:pass@hunter2@host/db",
        "postgresql://host/db?password=hunter2",
        "redis://:hunter2@[::1",
    ],
)
def test_no_secret_is_shown(store: str) -> None:
    """A repr goes to logs and tracebacks; the place of the store is shown, whatever its password is made of."""
    secrets = {"key": f"hunter2 {RANDOM_KEY}", "metrics_token": "hunter2hunter2"}
    config = made_of({"store": store, "session_store": store, **secrets})
    for shown in (repr(config), str(config), repr([config])):
        assert "hunter2" not in shown
        assert RANDOM_KEY not in shown
    assert config.public_url in repr(config)
    assert "host" in repr(config) or "[::1" in repr(config)


def test_whatever_weakens_says_so_and_is_not_the_default() -> None:
    """Nobody sets it without noticing."""
    assert load({}).weakened == ()
    assert settings_page.unsafe_names() == ["unsafe_feed_silence", "unsafe_cheapest", "unsafe_email_key"]
    weak = made_of({"password_profile": "unsafe_cheapest", "unsafe_feed_silence": "a demo"})
    assert weak.weakened == ("password_profile=unsafe_cheapest", "unsafe_feed_silence='a demo'")


def test_silence_is_borne_for_ever_only_where_somebody_says_why() -> None:
    """An empty reason is none."""
    assert made_of({"feed_max_silence_s": 7}).max_silence_s == 7
    assert made_of({"feed_max_silence_s": 7, "unsafe_feed_silence": " "}).max_silence_s == 7
    assert made_of({"feed_max_silence_s": 7, "unsafe_feed_silence": "a demo"}).max_silence_s == math.inf


WEAK = [
    ({"password_profile": "unsafe_cheapest"}, ["password_profile=unsafe_cheapest weakens"]),
    ({"unsafe_feed_silence": "a demo"}, ["unsafe_feed_silence='a demo' weakens"]),
    ({}, []),
]


@pytest.mark.parametrize(("settings", "warned"), WEAK)
async def test_every_start_warns_of_what_weakens(
    settings: dict[str, Any], warned: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """At a level that is logged by default, by name."""
    with caplog.at_level(logging.WARNING, "propylon"):
        async with Propylon(store="memory://", **settings):
            pass
    assert [record.message.partition(" this service")[0] for record in caplog.records] == warned


async def test_every_start_warns_of_a_bridge_that_goes_by_addresses(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It stands in a file of its own, and weakens no less for that; no secret of that file is told."""
    path = tmp_path / "bridge.toml"
    path.write_text('system = "starlette"\nsecrets = ["hunter2"]\nunsafe_email_key = "email"')
    with caplog.at_level(logging.WARNING, "propylon"):
        async with Propylon(store="memory://", bridge=str(path)):
            pass
    (record,) = caplog.records
    assert record.message.startswith("unsafe_email_key='email' weakens this service")
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_of_settings_is_that_of_the_code(language: str) -> None:
    """When it is not, ``.venv/bin/python -m tests.settings_page`` writes it."""
    assert settings_page.FILES[language].read_text() == settings_page.page(language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_shows_two_forms_that_mean_the_same(language: str) -> None:
    """One line and a table, both as anybody would copy them."""
    page = settings_page.page(language)
    line, table = (tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL))
    assert made_of(line) == made_of(table) != made_of({})
