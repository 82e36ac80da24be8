"""What the launcher says, in English and Korean."""

from __future__ import annotations

import os
import sys

_WORDS = {
    "en": {
        "ready": "Ready. Open one of these in a browser:",
        "shop": "The shop, to try it all",
        "sign_in": "Sign in",
        "sign_up": "Sign up",
        "account": "Account and devices",
        "docs": "API reference",
        "demo": "Demo account",
        "stop": "Stop both with Ctrl-C. Write localhost in every address: cookies belong to the name.",
        "no_shop_memory": "The shop is left out: with memory:// two processes cannot share a store.",
        "no_shop_public": "The shop is left out: it is for trying things on this machine, and {url} is public.",
        "no_shop_port": "The shop is left out: its port, {port} (PROPYLON_SHOP_PORT), is taken.",
        "no_shop_port_wrong": "The shop is left out: PROPYLON_SHOP_PORT is {port}; give a number from 1 to 65535.",
        "no_shop_free_port": "The shop is left out: no port near {port} is free. Name one in PROPYLON_SHOP_PORT.",
        "help": "Starts Propylon, and beside it the example shop: at the next free port, or at PROPYLON_SHOP_PORT.\n",
        "no_demo": "There is no demo account: {why}.",
        "ended": "{name} has ended by itself (status {status}); everything is being stopped.",
        "the_shop": "The shop",
        "needs_client": "This needs {package}: .venv/bin/pip install '.[client]'",
        "two_addresses": "Give both addresses, of Propylon and of the shop, or none.",
        "nothing_there": "No Propylon with its shop at {issuer} and {shop}: run scripts/serve, or give its addresses.",
        "not_let_in": "{issuer} does not let {email} in ({code}): it takes the demo account that scripts/serve makes.",
    },
    "ko": {
        "ready": "준비되었습니다. 브라우저에서 열어 보세요.",
        "shop": "모두 해 볼 수 있는 가게",
        "sign_in": "로그인",
        "sign_up": "회원가입",
        "account": "계정과 기기",
        "docs": "API 문서",
        "demo": "데모 계정",
        "stop": "Ctrl-C를 누르면 함께 종료됩니다. 쿠키는 이름에 묶이므로 주소에는 항상 localhost를 쓰세요.",
        "no_shop_memory": "가게는 열지 않습니다. memory:// 저장소는 두 프로세스가 함께 쓸 수 없습니다.",
        "no_shop_public": "가게는 열지 않습니다. 이 컴퓨터에서 시험해 보는 용도인데 {url}은 공개 주소입니다.",
        "no_shop_port": "가게는 열지 않습니다. PROPYLON_SHOP_PORT로 지정한 {port}번 포트가 이미 쓰이고 있습니다.",
        "no_shop_port_wrong": "가게는 열지 않습니다. PROPYLON_SHOP_PORT({port})는 1부터 65535까지의 수여야 합니다.",
        "no_shop_free_port": "가게는 열지 않습니다. {port}번 뒤로 빈 포트가 없으니 PROPYLON_SHOP_PORT로 정해 주세요.",
        "help": "Propylon과 예제 가게를 함께 시작합니다. 가게 포트는 PROPYLON_SHOP_PORT, 없으면 다음 빈 포트입니다.\n",
        "no_demo": "데모 계정을 만들지 않았습니다. {why}.",
        "ended": "{name} 프로세스가 스스로 종료되어(상태 {status}) 모두 종료합니다.",
        "the_shop": "가게",
        "needs_client": "{package} 패키지가 필요합니다. .venv/bin/pip install '.[client]'로 설치해 주세요.",
        "two_addresses": "Propylon과 가게의 주소를 둘 다 적거나 둘 다 빼 주세요.",
        "nothing_there": (
            "{issuer}, {shop}에 Propylon과 가게가 없습니다. scripts/serve를 실행하거나 화면에 나온 주소를 적어 주세요."
        ),
        "not_let_in": "{issuer}에 {email} 계정으로 로그인할 수 없습니다({code}). scripts/serve의 데모 계정을 씁니다.",
    },
}
_BOLD, _ACCENT, _MUTED, _PLAIN = "\033[1m", "\033[36m", "\033[2m", "\033[0m"


def language() -> str:
    """Return the language of the terminal: ``ko`` or ``en``."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if os.environ.get(name):
            return "ko" if os.environ[name].startswith("ko") else "en"
    return "en"


def say(key: str, /, **facts: object) -> str:
    """Return a sentence in the terminal's language."""
    return _WORDS[language()][key].format(**facts)


def tell(key: str, /, **facts: object) -> None:
    """Print a sentence."""
    _print(say(key, **facts))


def tell_reason(reason: Exception) -> None:
    """Print why something is left out, where there is a text."""
    if str(reason):
        _print(str(reason))


def tell_places(places: dict[str, str]) -> None:
    """Print where to go: a line for each place, the names in one column."""
    _print(f"\n  {_BOLD}{say('ready')}{_PLAIN}\n")
    width = max(_columns(say(key)) for key in places)
    for key, address in places.items():
        padding = " " * (width - _columns(say(key)))
        _print(f"    {_MUTED}{say(key)}{_PLAIN}{padding}   {_ACCENT}{address}{_PLAIN}")
    _print(f"\n  {_MUTED}{say('stop')}{_PLAIN}\n")


def _columns(text: str) -> int:
    # Hangul syllables take two columns of a terminal.
    return sum(2 if "\uac00" <= character <= "\ud7a3" else 1 for character in text)


def _print(text: str) -> None:
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        for code in (_BOLD, _ACCENT, _MUTED, _PLAIN):
            text = text.replace(code, "")
    print(text, flush=True)  # noqa: T201 - this is where it speaks
