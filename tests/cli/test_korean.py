"""Settings that are wrong, told to a Korean reader by the real program: the sentence is Korean throughout."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tests.cli.terminal import PASSWORD, run_program

from propylon.cli.serving import application

KOREAN = "ko_KR.UTF-8"
RANDOM_KEY = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

# A setting, what it is, and the Korean that has to be told.
WRONG: list[tuple[str, str, str]] = [
    ("MODE", "jwt", "cookie, bearer, hybrid 중 하나여야 합니다(지정한 값: 'jwt')."),
    ("ACCESS_TTL_S", "9999", "1초부터 3600초까지여야 합니다."),
    ("IDLE_TTL_S", "1.5", "초 단위의 정수여야 합니다(지정한 값: '1.5')."),
    ("HASH_QUEUE", "many", "정수여야 합니다(지정한 값: 'many')."),
    ("HASH_THREADS", "65", "0부터 64까지여야 합니다."),
    ("SITE_NAME", " ", "비어 있습니다."),
    ("AUDIENCE", "a" * 256, "255자 이하의 한 줄이어야 합니다."),
    ("CSRF_STRICT", "maybe", "true나 false여야 합니다(지정한 값: 'maybe')."),
    ("METRICS_TOKEN", "hunter2", "공백 없이 눈에 보이는 ASCII 문자 8자 이상이어야 합니다."),
    ("PUBLIC_URL", "ftp://id.example", "http:// 또는 https:// 주소여야 합니다"),
    ("PUBLIC_URL", "http://id.example", "https:// 주소를 지정해 주세요."),
    ("PUBLIC_URL", "https://me:hunter2@id.example", "사용자 이름과 비밀번호를 넣을 수 없습니다."),
    ("ORIGINS", "*", "출처를 하나씩 지정해 주세요."),
    ("ORIGINS", "https://a.example/app", "경로 없이"),
    ("TRUSTED_PROXIES", "10.0.0.0/33", "IP 주소나 네트워크여야 합니다"),
    ("TRUSTED_PROXIES", "0.0.0.0/0", "직접 운영하는 네트워크만 지정해 주세요."),
    ("ROLES", "a b=x", "역할 이름은"),
    ("ROLES", 'a="x"', "권한 이름은"),
    ("SESSION_LIMIT", "5,6", "'user' 항목이 두 번 들어 있습니다."),
    ("SESSION_LIMIT", "tablet=1", "중 하나여야 합니다(지정한 값: 'tablet')."),
    ("SIGN_UP", "verified", "메일을 보낼 수 없습니다."),
    ("ABSOLUTE_TTL_S", "0", "1초부터"),
    ("KEY", "k1 hunter2", "32바이트가 아닙니다."),
    ("KEY", "k1 " + "00" * 32, "무작위 값이 아닙니다."),
    ("KEY", f"k1 {RANDOM_KEY}, k1 {RANDOM_KEY}", "같은 식별자가 두 번"),
    ("STORE", "redis://:hunter2@host", "계정은 Redis에 보관하지 않습니다."),
    ("STORE", "mysql://me:hunter2@host/db", "저장소 종류('mysql')는 없습니다."),
    ("STORE", "sqlite:///x.db?mode=ro", "SQLite 저장소는 옵션 없이"),
    ("STORE", "sqlite:///gone/x.db", "gone/x.db 저장소를 쓸 수 없습니다(No such file or directory)."),
    ("STORE", "memory://", "다른 명령이 들여다볼 수 없습니다."),
    ("STORE", "postgresql://me:hunter2#x@host/db", "비밀번호의 특수 문자는 %XX로 적어 주세요."),
    ("SESSION_STORE", "sqlite:///other.db", "세션을 PROPYLON_STORE에 함께 보관하려면 빼 주세요."),
    ("SESSION_STORE", "redis://:hunter2@a,b", "세션 저장소로 지정한 redis:// URL을 쓸 수 없습니다."),
    ("SESSION_STORE", "redis://:hunter2@127.0.0.1:1", "응답하는 Redis 서버가 없습니다."),
    ("CONFIG", "gone.toml", "gone.toml 설정 파일이 없습니다."),
    ("KEY_FILE", "gone/propylon.key", "먼저 gone 디렉터리를 만들어 주세요."),
]  # fmt: skip

# Words that are the same in Korean: names of settings, formats, tools and values, and what the system says.
NAMES = re.compile(
    r"PROPYLON_\w+(=\w+)?|'[^']*'|\"[^\"]*\"|`[^`]*`|No such file or directory|%XX"
    r"|(https?|memory|sqlite|postgresql|rediss?|unix|redis\+\w+)://\S*|sqlite:"
    r"|--[\w-]+|scheme|host|port|ASCII|IP|TLS|SQLite|PostgreSQL|Redis|Valkey|URL|Propylon|https?|base64url"
    r"|cookie|bearer|hybrid|open|closed"
    r"|true|false|gone/?\S*|user|desktop|mobile|app|role:NAME|xn--|2001:db8::/32"
)


def is_korean(sentence: str) -> bool:
    """Return whether nothing English is left, names and values aside."""
    return re.search("[가-힣]", sentence) is not None and re.search("[A-Za-z]{2,}", NAMES.sub("", sentence)) is None


@pytest.mark.parametrize(("name", "value", "told"), WRONG, ids=[f"{name} {value[:20]}" for name, value, _ in WRONG])
def test_a_wrong_setting_is_told_in_korean(tmp_path: Path, name: str, value: str, told: str) -> None:
    """One line, status 1, nothing on standard output, no traceback, and no secret."""
    ran = run_program(tmp_path, "user", "list", LC_ALL=KOREAN, **{f"PROPYLON_{name}": value})
    said = ran.err.splitlines()[-1]
    assert (ran.status, ran.out) == (1, "")
    assert said.startswith("오류: ")
    assert told in said
    assert is_korean(said), said
    assert "Traceback" not in ran.err
    assert "hunter2" not in ran.err
    assert RANDOM_KEY not in ran.err


def test_the_test_above_sees_english() -> None:
    """It could fail."""
    assert not is_korean("오류: PROPYLON_MODE is not usable: 'x' is none of cookie, bearer, hybrid.")
    assert not is_korean("PROPYLON_MODE 값을 쓸 수 없습니다. it is empty.")


def test_the_settings_file_is_told_in_korean(tmp_path: Path) -> None:
    """Its wrong names too, with the nearest right one."""
    for content, told in (
        ('publik_url = "x"', "혹시 “public_url”인가요?"),
        ("zzz = 1", "쓸 수 있는 설정은 docs/settings.md에 있습니다."),
        ("mode = 1", "문자열이어야 합니다."),
    ):
        (tmp_path / "propylon.toml").write_text(content)
        ran = run_program(tmp_path, "user", "list", LC_ALL=KOREAN)
        assert ran.status == 1
        assert told in ran.err


def test_a_store_and_keys_that_do_not_belong_together_are_told_in_korean(tmp_path: Path) -> None:
    """Of the key file, and of a schema that is newer."""
    assert run_program(tmp_path, "migrate").status == 0
    assert run_program(tmp_path, "user", "list").status == 0
    key = tmp_path / "propylon.key"
    for content, told in (
        ("", "서버 키 묶음이 비어 있습니다."),
        (f"k1 {RANDOM_KEY}\n", "이 저장소를 만들 때 쓴 키와 다릅니다."),
    ):
        key.write_text(content)
        ran = run_program(tmp_path, "user", "list", LC_ALL=KOREAN)
        assert (ran.status, ran.out) == (1, "")
        assert told in ran.err
    database = sqlite3.connect(tmp_path / "propylon.db")
    database.execute("INSERT INTO migrations VALUES (99, 'later', '', 0)")
    database.commit()
    database.close()
    ran = run_program(tmp_path, "user", "list", LC_ALL=KOREAN)
    assert "저장소의 스키마는 버전 99인데" in ran.err
    assert "버전 99인데" in run_program(tmp_path, "doctor", LC_ALL=KOREAN, COLUMNS="200").out


def test_doctor_tells_the_same_sentences(tmp_path: Path) -> None:
    """In its table and in JSON: settings, and the key."""
    checks = doctor(tmp_path, PROPYLON_MODE="jwt")
    assert checks["settings"] == "PROPYLON_MODE 값을 쓸 수 없습니다. " + WRONG[0][2]
    (tmp_path / "propylon.key").write_text("k1 short")
    assert "propylon.key 키 파일을 쓸 수 없습니다." in doctor(tmp_path)["server_key"]


def doctor(directory: Path, **variables: str) -> dict[str, str]:
    """Return what each check says to a Korean reader."""
    ran = run_program(directory, "doctor", "--json", LC_ALL=KOREAN, **variables)
    assert ran.status == 1
    return {check["name"]: check["detail"] for check in json.loads(ran.out)["checks"]}


def test_serve_tells_it_too(tmp_path: Path) -> None:
    """Whoever starts a server reads the same sentence."""
    ran = run_program(tmp_path, "serve", LC_ALL=KOREAN, PROPYLON_KEY_FILE="gone/propylon.key", PROPYLON_PORT="0")
    assert ran.status == 2  # port 0 is none
    ran = run_program(tmp_path, "serve", "--workers", "2", "--store", "memory://", LC_ALL=KOREAN)
    assert ran.status == 1
    assert "각 워커가 자기 세션만 알게 됩니다." in ran.err


def test_a_path_does_not_steer_the_terminal(tmp_path: Path) -> None:
    """Control characters of a file's name are spelled out, also within a sentence about a setting."""
    ran = run_program(tmp_path, "user", "list", LC_ALL=KOREAN, PROPYLON_CONFIG="\x1b[31mred.toml")
    assert ran.status == 1
    assert "\x1b" not in ran.err
    assert "\\x1b[31mred.toml 설정 파일이 없습니다." in ran.err


def test_more_roles_than_a_token_carries_are_refused_in_both_languages(tmp_path: Path) -> None:
    """64 are as many as a verifier accepts; the 65th would stop every sign-in."""
    roles = [word for n in range(65) for word in ("--role", f"r{n}")]
    for language, told in ((KOREAN, "64개까지입니다."), ("C.UTF-8", "at most 64 roles")):
        ran = run_program(tmp_path, "user", "add", "mina@example.com", *roles, given=PASSWORD, LC_ALL=language)
        assert (ran.status, ran.out) == (1, "")
        assert told in ran.err
    added = run_program(
        tmp_path, "user", "add", "mina@example.com", *roles[2:], "--role", "r1", "--json", given=PASSWORD
    )
    assert added.status == 0
    assert len(json.loads(added.out)["roles"]) == 64


async def test_a_worker_that_cannot_start_says_it_in_the_language_of_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Granian logs that message where somebody sees it."""
    monkeypatch.setattr("propylon.cli.texts.LANGUAGE", "ko")
    monkeypatch.setenv("PROPYLON_STORE", f"sqlite:///{tmp_path}/gone/x.db")
    sent: list[dict[str, str]] = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    await application()({"type": "lifespan"}, receive, send)
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert is_korean(sent[0]["message"].replace(str(tmp_path), "")), sent
