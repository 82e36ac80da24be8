"""``propylon doctor``: each check over values, and the whole of it over a real directory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Formatter
from threading import Thread
from typing import Any, ClassVar

import msgspec
import pytest
from tests.cli.conftest import Run
from tests.cli.terminal import run_program
from tests.servers.ports import free_port

from propylon.cli.checks import (
    CHECKS,
    CLOCK_SLACK_S,
    EARLIEST_NOW,
    FULL_BELOW_BYTES,
    LOW_BELOW_BYTES,
    MIN_TOKEN_CHARS,
    ROTATION_SLACK_S,
    examine,
    fit,
)
from propylon.cli.findings import FileMode, Finding, Seen
from propylon.cli.page_check import ask_as_page
from propylon.config import DAY_S, Config, load
from propylon.errors import SetupError
from propylon.language import LANGUAGES, catalogue
from propylon.ports import StoredKey
from propylon.stores.inspection import Inspection
from propylon.stores.server import PostgresSettings, RedisSettings, Server

NOW = 1_800_000_000
KEY = StoredKey(kid="k", alg="ES256", sealed=b"", sealed_with="", created_at=NOW - DAY_S)
STORE = Inspection(exists=True, applied={1: "x"}, server_keys="{}", signing_keys=(KEY,))
SEEN = Seen(now=NOW, store_name="/srv/p.db", key_place="/srv/propylon.key", store=STORE, free_bytes=LOW_BELOW_BYTES)
SERVERS = (
    Server(place="127.0.0.1:5432", guarded=True, version="17.6", postgres=PostgresSettings()),
    Server(
        place="127.0.0.1:6379",
        version="7.0.15",
        redis=RedisSettings(kind="sentinel", confirmed_by=1, min_replicas=1),
    ),
)
PRODUCTION = {
    "PROPYLON_PUBLIC_URL": "https://id.example.com",
    "PROPYLON_SIGN_UP": "closed",
    "PROPYLON_TRUSTED_PROXIES": "10.0.0.7",
    "PROPYLON_METRICS_TOKEN": "x" * MIN_TOKEN_CHARS,
}


def settings(**changes: str) -> Config:
    """Return the settings of a sound set-up with changes by field name; an empty one is left out."""
    environ = PRODUCTION | {f"PROPYLON_{name.upper()}": value for name, value in changes.items()}
    return load({name: value for name, value in environ.items() if value}, file=Path(os.devnull))


def found(config: Config, seen: Seen, name: str) -> Finding | None:
    """Return what one check says."""
    return next((finding for finding in examine(config, seen) if finding.name == name), None)


def seen(**changes: Any) -> Seen:
    """Return a sound set-up with changes."""
    return msgspec.structs.replace(SEEN, **changes)


def stored(**changes: Any) -> Seen:
    """Return a sound set-up with changes in its store."""
    return seen(store=msgspec.structs.replace(STORE, **changes))


def test_a_sound_set_up_passes_every_check() -> None:
    """All checks speak, and each says ok: nothing else would be believed when it matters."""
    files = (FileMode("/srv/p.db", 0o600), FileMode("/srv", 0o700, directory=True))
    findings = examine(settings(), seen(files=files, servers=SERVERS, sessions_name="redis+sentinel://127.0.0.1/s"))
    assert [finding.status for finding in findings] == ["ok"] * len(CHECKS)
    assert fit(findings)


def test_a_bridge_that_goes_by_addresses_is_found() -> None:
    """As every other setting that weakens."""
    finding = found(settings(), seen(weakened=("unsafe_email_key='email'",)), "unsafe")
    assert finding is not None
    assert (finding.status, finding.facts) == ("fail", {"settings": "unsafe_email_key='email'"})


SETTINGS_AT_FAULT = [
    ("unsafe", "fail", {"password_profile": "unsafe_cheapest"}),
    ("passwords", "fail", {"password_profile": "unsafe_cheapest"}),
    ("public_url", "warn", {"public_url": "http://localhost:8000"}),
    ("public_url", "warn", {"public_url": "https://127.0.0.1"}),
    ("cookies", "warn", {"public_url": "http://localhost:8000"}),
    ("trusted_proxies", "warn", {"trusted_proxies": ""}),
    ("origins", "warn", {"origins": "https://shop.example.com, http://localhost:5173"}),
    ("origins", "warn", {"origins": "https://shop.example.com, https://shop.example.org"}),
    ("origins", "warn", {"origins": "https://shop.example.org", "mode": "hybrid"}),
    ("origins", "warn", {"origins": "http://127.0.0.1:5173", "public_url": "http://localhost:8000"}),
    ("sign_up", "warn", {"sign_up": "open"}),
    ("metrics", "warn", {"metrics_token": ""}),
    ("metrics", "warn", {"metrics_token": "x" * (MIN_TOKEN_CHARS - 1)}),
    ("lives", "fail", {"access_ttl_s": "601", "idle_ttl_s": "600"}),
    ("session_limit", "warn", {"session_limit": "role:amdin=1", "roles": "admin=users.read"}),
    ("signing_key", "warn", {"algorithm": "HS256"}),
    ("signing_key", "warn", {"algorithm": "EdDSA"}),
]


@pytest.mark.parametrize(("name", "status", "changes"), SETTINGS_AT_FAULT, ids=str)
def test_a_setting_that_is_not_fit_is_found(name: str, status: str, changes: dict[str, str]) -> None:
    """Each is caught by the check of that name."""
    finding = found(settings(**changes), SEEN, name)
    assert finding is not None
    assert finding.status == status


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("trusted_proxies", {"trusted_proxies": "10.0.0.0/8, fd00::/8, fc00::/7, 104.16.0.0/13, 2606:4700::/32"}),
        ("trusted_proxies", {"trusted_proxies": "", "public_url": "http://localhost:8000"}),
        ("origins", {"origins": "https://shop.example.com"}),
        ("origins", {"origins": "http://localhost:5173", "public_url": "http://localhost:8000"}),
        ("origins", {"origins": "https://shop.example.org", "mode": "bearer"}),
        ("sign_up", {"sign_up": "open", "public_url": "http://localhost:8000"}),
        ("metrics", {"metrics_token": "", "public_url": "http://localhost:8000"}),
        ("cookies", {"public_url": "https://localhost"}),
        ("lives", {"access_ttl_s": "600", "idle_ttl_s": "600"}),
        ("session_limit", {"session_limit": "3, role:admin=1", "roles": "admin=users.read"}),
        ("session_limit", {"session_limit": "role:admin=1"}),
        ("passwords", {"password_profile": "rfc9106_low_memory"}),
    ],
    ids=str,
)
def test_a_setting_that_is_fit_raises_no_alarm(name: str, changes: dict[str, str]) -> None:
    """An alarm that means nothing teaches people to ignore the others."""
    finding = found(settings(**changes), SEEN, name)
    assert finding is not None
    assert finding.status == "ok"


SIGHTS_AT_FAULT = [
    ("variables", "warn", seen(strangers=("PROPYLON_WHATEVER",))),
    ("store", "fail", seen(in_memory=True, store=Inspection(exists=False))),
    ("store", "warn", seen(store=Inspection(exists=False))),
    ("store", "fail", seen(store=Inspection(exists=False), place_writable=False)),
    ("store", "fail", stored(unreadable=SetupError("store_no_database", path="p.db", reason="damaged"))),
    ("store", "fail", stored(unwritable=SetupError("store_unusable", path="p.db", reason="locked"))),
    ("schema", "warn", seen(missing_migrations=1)),
    ("schema", "fail", seen(schema_trouble="The store has schema 99.")),
    ("server_key", "fail", seen(key="missing")),
    ("server_key", "warn", seen(key="missing", store=Inspection(exists=False))),
    ("server_key", "fail", seen(key="unusable", key_trouble="The key file is empty.")),
    ("server_key", "fail", seen(key="differs")),
    ("files", "fail", seen(files=(FileMode("/srv/p.db", 0o604),))),
    ("files", "fail", seen(files=(FileMode("/srv/p.db", 0o600), FileMode("/srv/propylon.key", 0o602)))),
    ("files", "warn", seen(files=(FileMode("/srv/p.db", 0o640),))),
    ("files", "fail", seen(files=(FileMode("/srv/p.db", 0o640), FileMode("/srv/propylon.key", 0o644)))),
    ("files", "fail", seen(files=(FileMode("/srv/p.db", 0o600), FileMode("/srv", 0o777, directory=True)))),
    ("disk", "warn", seen(free_bytes=LOW_BELOW_BYTES - 1)),
    ("disk", "fail", seen(free_bytes=FULL_BELOW_BYTES - 1)),
    ("clock", "fail", seen(now=EARLIEST_NOW - 1, newest_at=None)),
    ("clock", "fail", seen(newest_at=NOW + CLOCK_SLACK_S + 1)),
    ("signing_key", "warn", stored(signing_keys=())),
    ("signing_key", "warn", stored(signing_keys=(msgspec.structs.replace(KEY, retired_at=NOW),))),
    ("signing_key", "warn", seen(now=KEY.created_at + 30 * DAY_S + ROTATION_SLACK_S + 1)),
]


@pytest.mark.parametrize(("name", "status", "sight"), SIGHTS_AT_FAULT, ids=str)
def test_what_is_not_fit_on_the_machine_is_found(name: str, status: str, sight: Seen) -> None:
    """Each is caught by the check of that name, and a failure fails the whole."""
    finding = found(settings(), sight, name)
    assert finding is not None
    assert finding.status == status
    assert fit(examine(settings(), sight)) is (status == "warn")


@pytest.mark.parametrize(
    ("name", "sight"),
    [
        ("files", seen(files=(FileMode("/tmp/p.db", 0o600), FileMode("/tmp", 0o1777, directory=True)))),  # noqa: S108
        ("files", seen(files=(FileMode("/srv/p.db", 0o600), FileMode("/srv", 0o755, directory=True)))),
        ("clock", seen(newest_at=NOW + CLOCK_SLACK_S)),
        ("clock", seen(now=EARLIEST_NOW)),
        ("signing_key", seen(now=KEY.created_at + 30 * DAY_S + ROTATION_SLACK_S)),
    ],
    ids=str,
)
def test_the_bounds_of_what_is_fit_are_exact(name: str, sight: Seen) -> None:
    """One second or bit further it would not be."""
    finding = found(settings(), sight, name)
    assert finding is not None
    assert finding.status == "ok"


@pytest.mark.parametrize(
    ("name", "sight"),
    [
        ("schema", seen(store=Inspection(exists=False))),
        ("schema", stored(unreadable=SetupError("store_no_database", path="p.db", reason="damaged"))),
        ("signing_key", seen(store=Inspection(exists=False))),
        ("files", seen(files=())),
        ("disk", seen(free_bytes=None)),
    ],
    ids=str,
)
def test_nothing_is_said_of_what_is_not_there(name: str, sight: Seen) -> None:
    """A guess that looks like a finding would be worse."""
    assert found(settings(), sight, name) is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_finding_has_its_sentences(language: str) -> None:
    """A detail for each, a fix for all that are not ok, filled with just the facts that the check gives."""
    texts = catalogue(language)
    cases = [(settings(**changes), SEEN) for _, _, changes in SETTINGS_AT_FAULT]
    cases += [(settings(), sight) for _, _, sight in SIGHTS_AT_FAULT]
    for finding in (finding for config, sight in cases for finding in examine(config, sight)):
        key = f"cli.doctor.{finding.name}.{finding.variant}"
        given = {name.removesuffix("_s").removesuffix("_at").removesuffix("_bytes") for name in finding.facts}
        for needed in (key,) if finding.status == "ok" else (key, f"{key}_fix"):
            assert {name for _, name, _, _ in Formatter().parse(texts[needed]) if name} <= given
        assert f"cli.doctor.title.{finding.name}" in texts


def test_json_is_as_the_contract_says(program: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """``{ok, checks: [{name, status, detail, fix}]}``; status 1 when one fails, 0 otherwise; warnings do not fail."""
    failing = program("doctor", "--json")
    monkeypatch.delenv("PROPYLON_PASSWORD_PROFILE")
    warning = program("doctor", "--json")
    for ran, ok in ((failing, False), (warning, True)):
        said = json.loads(ran.out)
        assert (ran.status, ran.err, said["ok"]) == (0 if ok else 1, "", ok)
        assert set(said) == {"ok", "checks"}
        for check in said["checks"]:
            assert set(check) == {"name", "status", "detail", "fix"}
            assert check["status"] in ("ok", "warn", "fail")
            assert check["detail"]
            assert (check["fix"] is None) == (check["status"] == "ok")
        assert ("fail" in {check["status"] for check in said["checks"]}) is not ok


def test_looking_makes_nothing(program: Run) -> None:
    """No store and no key come to be because somebody asked how things stand."""
    program("doctor")
    program("explain")
    assert list(Path().iterdir()) == []


def test_looking_changes_nothing(program: Run) -> None:
    """A store that is behind stays behind, byte for byte."""
    program("user", "list")
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    assert program("doctor").status == 1
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before


def statuses(program: Run, *arguments: str) -> dict[str, str]:
    """Return the status of every check, by its name."""
    return {
        check["name"]: check["status"] for check in json.loads(program("doctor", "--json", *arguments).out)["checks"]
    }


def test_a_real_directory_is_seen_as_it_is(program: Run) -> None:
    """Made by the program itself, store, schema, keys and modes are in order."""
    program("user", "list")
    seen_as = statuses(program)
    assert [seen_as[name] for name in ("store", "schema", "server_key", "files", "signing_key", "clock")] == ["ok"] * 6


@pytest.mark.parametrize(("file", "mode"), [("propylon.db", 0o644), ("propylon.key", 0o604)])
def test_a_real_file_that_others_may_read_fails(program: Run, file: str, mode: int) -> None:
    """The modes on the disk count, not those that were once given."""
    program("user", "list")
    Path(file).chmod(mode)
    assert statuses(program)["files"] == "fail"


def test_a_key_of_another_store_fails(program: Run) -> None:
    """Before the server refuses to start with it."""
    program("user", "list")
    program("user", "list", "--store", "sqlite:///other/propylon.db")
    Path("other").mkdir()
    program("user", "list", "--store", "sqlite:///other/propylon.db")
    Path("propylon.key").write_bytes(Path("other/propylon.key").read_bytes())
    assert statuses(program)["server_key"] == "fail"
    Path("propylon.key").unlink()
    assert statuses(program)["server_key"] == "fail"
    Path("propylon.key").write_text("no key")
    assert statuses(program)["server_key"] == "fail"


@pytest.mark.parametrize(
    "store", ["memory://", "sqlite:////nowhere/p.db", "sqlite:////", "sqlite:////proc", "postgres://x"]
)
def test_a_store_that_will_not_do_fails(program: Run, store: str) -> None:
    """Each with a finding, none with a traceback."""
    ran = program("doctor", "--json", "--store", store)
    assert (ran.status, ran.err) == (1, "")
    assert any(c["status"] == "fail" and c["name"] in ("store", "settings") for c in json.loads(ran.out)["checks"])


@pytest.mark.parametrize(
    ("name", "value"),
    [("PROPYLON_MODE", "cookies"), ("PROPYLON_TRUSTED_PROXIES", "0.0.0.0/0"), ("PROPYLON_ORIGINS", "*")],
)
def test_settings_that_no_server_would_start_with_are_a_finding(
    program: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """The doctor is asked when something is wrong: it must not be the first to fall over."""
    monkeypatch.setenv(name, value)
    ran = program("doctor", "--json")
    (check,) = json.loads(ran.out)["checks"]
    assert (ran.status, check["name"], check["status"]) == (1, "settings", "fail")
    assert name in check["detail"]


def test_a_misspelt_variable_is_named_with_what_was_meant(program: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever closes sign-up with a slip of the finger has not closed it."""
    monkeypatch.setenv("PROPYLON_SING_UP", "closed")
    (check,) = json.loads(program("doctor", "--json").out)["checks"]
    assert (check["name"], check["status"]) == ("settings", "fail")
    assert "Did you mean PROPYLON_SIGN_UP?" in check["detail"]


def test_people_get_words_and_a_verdict_in_their_language(tmp_path: Path) -> None:
    """Without colour the marks still tell apart what is well and what is not."""
    english = run_program(tmp_path, "doctor")
    assert english.status == 1
    assert "FAIL  Unsafe settings" in english.out
    assert "Not fit for production" in english.out
    assert "\x1b" not in english.out
    korean = run_program(tmp_path, "doctor", LC_ALL="ko_KR.UTF-8")
    assert "문제  unsafe_ 설정" in korean.out
    assert "운영 환경에 적합하지 않습니다" in korean.out
    assert all(len(line) <= 100 for line in english.out.splitlines())


class Answering(BaseHTTPRequestHandler):
    """Something at the public URL: Propylon's answer to a preflight for one page, and none for others."""

    knows = "http://localhost:5173"
    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_OPTIONS(self) -> None:
        """Answer what a browser asks beforehand."""
        self.asked.append((self.path, self.headers["access-control-request-method"]))
        known = self.headers["origin"] in (self.knows, "http://127.0.0.1:5173")
        self.send_response(204 if known else 405)
        if known:
            self.send_header("Access-Control-Allow-Origin", self.headers["origin"])
            self.send_header("Access-Control-Allow-Credentials", "true")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def running() -> Iterator[str]:
    """The URL of a server that runs."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/auth"
        server.shutdown()


@pytest.mark.parametrize(
    ("origin", "mode", "variant"),
    [
        ("http://localhost:5173", "cookie", "ok"),
        ("HTTP://LOCALHOST:5173/", "hybrid", "ok"),
        ("http://127.0.0.1:5173", "bearer", "ok"),
        ("http://127.0.0.1:5173", "cookie", "cross_site"),
        ("http://localhost:5174", "cookie", "refused"),
        ("http://127.0.0.1:5174", "cookie", "names"),
        ("http://app.localhost:5174", "cookie", "names"),
        ("*", "cookie", "unusable"),
        ("http://shop.example", "cookie", "unusable"),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_is_told_what_its_browser_would_do(
    running: str, origin: str, mode: str, variant: str, language: str
) -> None:
    """The server that runs is asked, with a preflight that changes nothing; each answer has its sentences."""
    Answering.asked.clear()
    finding = ask_as_page(settings(public_url=running, mode=mode), origin)
    assert (finding.name, finding.variant, finding.status) == ("page", variant, "ok" if variant == "ok" else "fail")
    assert Answering.asked == ([] if variant == "unusable" else [("/auth/v1/session/data", "PUT")])
    for key in (variant,) if variant == "ok" else (variant, f"{variant}_fix"):
        assert catalogue(language)[f"cli.doctor.page.{key}"].format_map(finding.facts)


def test_a_server_that_does_not_run_is_said_so(program: Run) -> None:
    """With the address at which nobody answers; without ``--origin`` nothing is asked."""
    address = f"http://localhost:{free_port()}"
    arguments = ("doctor", "--json", "--public-url", address)
    last = json.loads(program(*arguments, "--origin", "http://localhost:5173").out)["checks"][-1]
    assert (last["name"], last["status"]) == ("page", "fail")
    assert address in last["detail"]
    assert "page" not in {check["name"] for check in json.loads(program(*arguments).out)["checks"]}
