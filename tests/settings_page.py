"""The page of all settings, written from the code: ``.venv/bin/python -m tests.settings_page``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from propylon.config import OTHER_VARIABLES, PREFIX, SETTINGS, Config
from propylon.core.limits import SessionLimits
from propylon.language import LANGUAGES, say

DOCS = Path(__file__).parent.parent / "docs"
FILES = {"en": DOCS / "settings.md", "ko": DOCS / "settings.ko.md"}

WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "Settings",
        "how": (
            "Settings are lines of `propylon.toml` in the working directory, each overridden by its environment"
            " variable, and that by the options of the command line. Durations are whole seconds. A setting that is"
            " wrong, unknown or contradicts another stops the start with one sentence that says what to change. So does"
            " a variable that is nearly one of these (`PROPYLON_MODEE`); any other that begins with `PROPYLON_` may be"
            " of other software and is only warned of."
        ),
        "columns": "| Setting | Environment variable | Default | Allowed | Meaning |",
        "forms": "Limits and roles",
        "forms_how": (
            "In the environment both are written on one line; in the file a table does too. A limit for a role replaces"
            " the general one for its holders, and of several roles the smallest counts."
        ),
        "variables": "Other variables",
        "variable_columns": "| Variable | Meaning |",
        "unsafe": "What weakens",
        "unsafe_how": (
            "Whatever weakens the service begins with `unsafe_`, is never the default, and is named in a warning at"
            " every start. This is all of it:"
        ),
    },
    "ko": {
        "title": "설정",
        "how": (
            "설정은 작업 디렉터리의 `propylon.toml`에 한 줄씩 적습니다. 환경 변수가 파일보다,"
            " 명령줄 옵션이 환경 변수보다 우선합니다. 시간은 모두 초 단위 정수입니다."
            " 잘못되었거나, 없는 이름이거나, 서로 모순되는 설정이 있으면"
            " 무엇을 고쳐야 하는지 한 문장으로 알리고 시작하지 않습니다."
            " 이름이 거의 같은 환경 변수(`PROPYLON_MODEE`)도 마찬가지입니다. 그 밖에 `PROPYLON_`으로 시작하는 변수는"
            " 다른 소프트웨어의 것일 수 있어 경고만 합니다."
        ),
        "columns": "| 설정 | 환경 변수 | 기본값 | 허용 범위 | 의미 |",
        "forms": "한도와 역할 적는 법",
        "forms_how": (
            "환경 변수에는 둘 다 한 줄로 적고, 파일에는 표로도 적을 수 있습니다. 역할에 정한 한도는"
            " 그 역할을 가진 사용자에게 일반 한도를 대신하며, 역할이 여럿이면 가장 작은 값을 따릅니다."
        ),
        "variables": "그 밖의 변수",
        "variable_columns": "| 변수 | 의미 |",
        "unsafe": "보안을 약하게 하는 값",
        "unsafe_how": (
            "보안을 약하게 하는 값은 모두 `unsafe_`로 시작하고, 기본값인 경우가 없으며, 시작할 때마다 경고로 알립니다."
            " 다음이 전부입니다."
        ),
    },
}

FORMS = """\
```toml
session_limit = "5, desktop=2, mobile=1, role:admin=1"
roles = "admin=users.read users.write, editor=posts.write"
```

```toml
[session_limit]
user = 5
desktop = 2
mobile = 1
"role:admin" = 1

[roles]
admin = ["users.read", "users.write"]
editor = ["posts.write"]
```"""


def page(language: str) -> str:
    """Return the whole page in one language."""
    return "\n".join(_lines(language, WORDS[language])) + "\n"


# Parameters of ``propylon.verifier.Verifier``, and lines of the file that ``bridge`` names.
OF_A_VERIFIER = ("unsafe_feed_silence",)
OF_A_BRIDGE = ("unsafe_email_key",)


def unsafe_names() -> list[str]:
    """Return every setting, choice, parameter and line of the bridge that weakens, in the order of the settings."""
    choices = [word.strip("` ") for setting in SETTINGS.values() for word in setting.bounds.split(",")]
    weakening = [name for name in [*SETTINGS, *choices] if name.startswith("unsafe_")]
    return list(dict.fromkeys([*weakening, *OF_A_VERIFIER, *OF_A_BRIDGE]))


def _lines(language: str, words: Mapping[str, str]) -> Iterator[str]:
    yield from (f"# {words['title']}", "", words["how"], "", words["columns"], "|---|---|---|---|---|")
    for name, setting in SETTINGS.items():
        meaning = say(language, f"setting.{name}")
        yield f"| `{name}` | `{PREFIX}{name.upper()}` | {_default(name)} | {setting.bounds} | {meaning} |"
    yield from ("", f"## {words['forms']}", "", words["forms_how"], "", FORMS)
    yield from ("", f"## {words['variables']}", "", words["variable_columns"], "|---|---|")
    for variable in OTHER_VARIABLES:
        name = variable.removeprefix(PREFIX).lower()
        yield f"| `{variable}` | {say(language, f'setting.variable.{name}')} |"
    yield from ("", f"## {words['unsafe']}", "", words["unsafe_how"], "")
    yield from (f"- `{name}`" for name in unsafe_names())


def _default(name: str) -> str:
    if name == "session_limit_policy":
        return f"`{SessionLimits().policy}`"
    if name == "sign_up":
        return ""  # it depends on the public URL, as its meaning says
    value: Any = getattr(Config(), name)
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if isinstance(value, str | int) and value != "" else ""


if __name__ == "__main__":
    for language in LANGUAGES:
        FILES[language].write_text(page(language))
