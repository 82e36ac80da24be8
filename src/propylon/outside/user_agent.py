"""What a user agent says of itself, made readable for a list of devices.

Names come from ua-parser, in the words people use: ``Chrome`` on a phone is still Chrome. What this cannot
know: an iPad asks for desktop pages by default and then says word for word what a Mac says. Whoever wants to
lie here can: it is never evidence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Final

from propylon.core.device import Device, Kind

#: Real ones have at most some 350 characters; what follows is not looked at.
MAX_USER_AGENT_BYTES: Final = 512
MAX_NAME_CHARS: Final = 40

_CACHED: Final = 256
_UNKNOWN: Final = Device("", "", "app")

# Control characters would forge log lines and bewilder terminals; format characters hide or turn text around.
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

# Apps that show pages in a web view of their own; ua-parser takes some of them for the system's browser.
_IN_APP: Final = (
    (re.compile(r"\bKAKAOTALK\b", re.IGNORECASE), "KakaoTalk"),
    (re.compile(r"\bNAVER\(inapp"), "NAVER"),
    (re.compile(r"\bInstagram\b"), "Instagram"),
    (re.compile(r"\bFB(?:AN|AV|_IAB)\b|\[FB"), "Facebook"),
    (re.compile(r"\bLine/"), "LINE"),
)

_BROWSERS: Final = MappingProxyType(
    {
        "Android": "Android Browser",
        "Chrome": "Chrome",
        "Chrome Mobile": "Chrome",
        "Chrome Mobile WebView": "Chrome",
        "Chrome Mobile iOS": "Chrome",
        "Chromium": "Chromium",
        "DuckDuckGo": "DuckDuckGo",
        "DuckDuckGo Mobile": "DuckDuckGo",
        "Edge": "Edge",
        "Edge Mobile": "Edge",
        "Firefox": "Firefox",
        "Firefox Mobile": "Firefox",
        "Firefox iOS": "Firefox",
        "HeadlessChrome": "Headless Chrome",
        "IE": "Internet Explorer",
        "MiuiBrowser": "Mi Browser",
        "Mobile Safari": "Safari",
        "Mobile Safari UI/WKWebView": "Safari",
        "Opera": "Opera",
        "Opera Mobile": "Opera",
        "Safari": "Safari",
        "Samsung Internet": "Samsung Internet",
        "Vivaldi": "Vivaldi",
        "Whale": "Whale",
        "Yandex Browser": "Yandex Browser",
    }
)

_SYSTEMS: Final = MappingProxyType({"Mac OS X": "macOS", "Chrome OS": "ChromeOS"})
_LINUXES: Final = frozenset({"Ubuntu", "Fedora", "Debian", "Red Hat", "SUSE", "Arch Linux", "Linux Mint", "Gentoo"})
_MOBILE_SYSTEMS: Final = frozenset({"Android", "iOS", "HarmonyOS", "KaiOS", "Windows Phone", "Tizen"})

# What stands before the slash of the first product, RFC 9110 section 10.1.5: "curl" of "curl/8.5.0".
_PRODUCT: Final = re.compile(r"\s*([^\s/();,]+)")


def describe(user_agent: str | None) -> Device:
    """Name the browser, the system and the kind of device behind a ``User-Agent`` header.

    A browser is ``desktop`` or ``mobile`` by its system; a page inside another app (KakaoTalk, NAVER, ...) is
    ``mobile`` and bears that app's name; whatever is no browser is an ``app`` with its product's name.
    """
    if not user_agent:
        return _UNKNOWN
    return _described(_UNPRINTABLE.sub("", user_agent[:MAX_USER_AGENT_BYTES]))


@lru_cache(maxsize=_CACHED)
def _described(text: str) -> Device:
    family, system = _families()(text)
    for pattern, app in _IN_APP:
        if pattern.search(text):
            return Device(app, system, "mobile")
    browser = _BROWSERS.get(family, "")
    if browser and text.startswith(("Mozilla/", "Opera/")):
        return Device(browser, system, _kind(system))
    return Device(_product(text, family), system, "app")


def _kind(system: str) -> Kind:
    return "mobile" if system in _MOBILE_SYSTEMS else "desktop"


def _system(family: str) -> str:
    if family in _LINUXES:
        return "Linux"
    return _SYSTEMS.get(family, family)[:MAX_NAME_CHARS]


def _product(text: str, family: str) -> str:
    """Name what is no browser by its first product, or as ua-parser does."""
    first = _PRODUCT.match(text)
    name = first[1] if first and first[1] not in {"Mozilla", "Dalvik"} else family
    return name[:MAX_NAME_CHARS]


@cache
def _families() -> Callable[[str], tuple[str, str]]:
    """Return the function that finds the names of browser and system."""
    # At the first use, not at the start of the service: it compiles some thousand patterns.
    from ua_parser import Domain, Parser, load_lazy_builtins  # noqa: PLC0415
    from ua_parser.regex import Resolver  # noqa: PLC0415

    parser = Parser(Resolver(load_lazy_builtins()))

    def find(text: str) -> tuple[str, str]:
        seen = parser(text, Domain.USER_AGENT | Domain.OS)
        return (
            seen.user_agent.family if seen.user_agent else "",
            _system(seen.os.family) if seen.os else "",
        )

    return find
