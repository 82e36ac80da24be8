"""User agents as the words in a list of devices."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from propylon.core.device import Device
from propylon.outside.user_agent import MAX_NAME_CHARS, MAX_USER_AGENT_BYTES, describe

WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
LINUX = "Mozilla/5.0 (X11; Linux x86_64)"
ANDROID = "Mozilla/5.0 (Linux; Android 10; K)"
GALAXY = "Mozilla/5.0 (Linux; Android 14; SM-S928N)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X)"
BLINK = "AppleWebKit/537.36 (KHTML, like Gecko)"
WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
WEB_VIEW = "Mozilla/5.0 (Linux; Android 14; SM-S921N Build/UP1A.231005.007; wv)"
NAVER = "NAVER(inapp; search; 2000; 12.8.3)"

DESKTOPS = [
    (f"{WINDOWS} {BLINK} Chrome/131.0.0.0 Safari/537.36", "Chrome", "Windows"),
    (f"{MAC} {BLINK} Chrome/131.0.0.0 Safari/537.36", "Chrome", "macOS"),
    (f"{LINUX} {BLINK} Chrome/131.0.0.0 Safari/537.36", "Chrome", "Linux"),
    (
        f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {BLINK} Chrome/131.0.0.0 Safari/537.36",
        "Chrome",
        "ChromeOS",
    ),
    (f"{LINUX} {BLINK} HeadlessChrome/131.0.0.0 Safari/537.36", "Headless Chrome", "Linux"),
    (f"{WINDOWS} {BLINK} Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0", "Edge", "Windows"),
    (f"{WINDOWS} {BLINK} Chrome/126.0.0.0 Whale/3.28.266.14 Safari/537.36", "Whale", "Windows"),
    (f"{WINDOWS} {BLINK} Chrome/130.0.0.0 Safari/537.36 OPR/115.0.0.0", "Opera", "Windows"),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0",
        "Firefox",
        "Windows",
    ),
    ("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0", "Firefox", "Linux"),
    (f"{MAC} {WEBKIT} Version/18.1 Safari/605.1.15", "Safari", "macOS"),  # also every iPad since iPadOS 13
    ("Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko", "Internet Explorer", "Windows"),
]

MOBILES = [
    (f"{ANDROID} {BLINK} Chrome/131.0.0.0 Mobile Safari/537.36", "Chrome", "Android"),
    (
        f"{ANDROID} {BLINK} SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36",
        "Samsung Internet",
        "Android",
    ),
    (
        f"Mozilla/5.0 (Linux; Android 13; SM-X700) {BLINK} SamsungBrowser/23.0 Chrome/115.0 Safari/537.36",
        "Samsung Internet",
        "Android",
    ),
    (f"{ANDROID} {BLINK} Chrome/131.0.0.0 Mobile Safari/537.36 EdgA/131.0.0.0", "Edge", "Android"),
    (
        f"{GALAXY} {BLINK} Chrome/112.0.0.0 Whale/2.9.3.3 Mobile Safari/537.36",
        "Whale",
        "Android",
    ),
    ("Mozilla/5.0 (Android 14; Mobile; rv:133.0) Gecko/133.0 Firefox/133.0", "Firefox", "Android"),
    (f"{IPHONE} {WEBKIT} Version/18.1 Mobile/15E148 Safari/604.1", "Safari", "iOS"),
    (f"{IPHONE} {WEBKIT} CriOS/131.0.6778.73 Mobile/15E148 Safari/604.1", "Chrome", "iOS"),
    (f"{IPHONE} {WEBKIT} FxiOS/133.0 Mobile/15E148 Safari/605.1.15", "Firefox", "iOS"),
    (f"{IPHONE} {WEBKIT} Version/17.0 EdgiOS/131.0.2903.48 Mobile/15E148 Safari/605.1.15", "Edge", "iOS"),
    (
        f"Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) {WEBKIT} Version/12.1.2 Mobile/15E148 Safari/604.1",
        "Safari",
        "iOS",
    ),
    (f"{WEB_VIEW} {BLINK} Version/4.0 Chrome/131.0.6778.39 Mobile Safari/537.36", "Chrome", "Android"),
    (
        f"{WEB_VIEW} {BLINK} Version/4.0 Chrome/130.0.6723.86 Mobile Safari/537.36;KAKAOTALK 2410900",
        "KakaoTalk",
        "Android",
    ),
    (f"{IPHONE} {WEBKIT} Mobile/15E148 KAKAOTALK 10.9.5", "KakaoTalk", "iOS"),
    (
        f"{GALAXY} {BLINK} Chrome/126.0.0.0 Whale/1.0.0.0 Crosswalk/28.126.0.19 Mobile Safari/537.36 {NAVER}",
        "NAVER",
        "Android",
    ),
    (
        f"{IPHONE} {WEBKIT} Version/17.5 Mobile/15E148 Safari/604.1 {NAVER}",
        "NAVER",
        "iOS",
    ),
    (
        f"{IPHONE} {WEBKIT} Mobile/21G93 Instagram 357.0.6.30.78 (iPhone15,2; iOS 17_6_1; ko_KR)",
        "Instagram",
        "iOS",
    ),
    (
        f"{WEB_VIEW} {BLINK} Version/4.0 Chrome/131.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/492.0.0.58.77;]",
        "Facebook",
        "Android",
    ),
    (f"{IPHONE} {WEBKIT} Mobile/22B83 [FBAN/FBIOS;FBAV/490.0.0.41.104;FBDV/iPhone14,5]", "Facebook", "iOS"),
    (f"{IPHONE} {WEBKIT} Mobile/15E148 Safari Line/14.16.0", "LINE", "iOS"),
]

APPS = [
    ("curl/8.5.0", "curl", ""),
    ("okhttp/4.12.0", "okhttp", ""),
    ("Dart/3.5 (dart:io)", "Dart", ""),
    ("MyShop/42 CFNetwork/1568.200.51 Darwin/24.1.0", "MyShop", "iOS"),
    ("MyShop/1.2 (com.example.shop; build:42; iOS 18.1.0) Alamofire/5.9.1", "MyShop", "iOS"),
    ("python-httpx/0.28.1", "python-httpx", ""),
    ("python-requests/2.32.3", "python-requests", ""),
    ("Go-http-client/1.1", "Go-http-client", ""),
    ("node", "node", ""),
    ("PostmanRuntime/7.42.0", "PostmanRuntime", ""),
    ("Dalvik/2.1.0 (Linux; U; Android 14; SM-S921N Build/UP1A.231005.007)", "Android", "Android"),
    (
        "Mozilla/5.0 (Windows NT; Windows NT 10.0; ko-KR) WindowsPowerShell/5.1.26100.2161",
        "WindowsPowerShell",
        "Windows",
    ),
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot", ""),
    ("Mozilla/5.0", "", ""),
    ("Chrome", "Chrome", ""),  # says no more than a word: not a browser's user agent
    ("", "", ""),
    ("   ", "", ""),
]


@pytest.mark.parametrize(("user_agent", "browser", "os"), DESKTOPS)
def test_a_browser_on_a_computer_is_a_desktop(user_agent: str, browser: str, os: str) -> None:
    """Under the names that the owner of the computer knows."""
    assert describe(user_agent) == Device(browser, os, "desktop")


@pytest.mark.parametrize(("user_agent", "browser", "os"), MOBILES)
def test_a_browser_on_a_phone_or_tablet_and_a_page_in_an_app_are_mobile(user_agent: str, browser: str, os: str) -> None:
    """A page inside KakaoTalk or NAVER bears that app's name: its owner never opened Chrome."""
    assert describe(user_agent) == Device(browser, os, "mobile")


@pytest.mark.parametrize(("user_agent", "product", "os"), APPS)
def test_what_is_no_browser_is_an_app_with_its_own_name(user_agent: str, product: str, os: str) -> None:
    """Tools, libraries, bots and native apps name themselves in their first product."""
    assert describe(user_agent) == Device(product, os, "app")


def test_no_header_is_an_unknown_app() -> None:
    """A request without the header is no browser's."""
    assert describe(None) == Device("", "", "app")


def test_only_the_beginning_of_a_long_header_is_looked_at() -> None:
    """What stands behind the bound changes nothing and costs nothing."""
    assert describe("x" * MAX_USER_AGENT_BYTES + " KAKAOTALK") == describe("x" * 10_000_000)
    assert describe("curl/8.5.0" + " " * 1_000_000) == Device("curl", "", "app")


def test_control_characters_reach_no_list_of_devices() -> None:
    """Line breaks would forge log lines, escapes repaint a terminal, and overrides turn the text around."""
    assert describe("cu\r\nrl\x1b[2J\u202e/8.5.0") == Device("curl[2J", "", "app")


@given(st.text(st.characters(), max_size=600))
def test_any_header_is_described_in_short_printable_words(text: str) -> None:
    """Nothing makes it fail, and what comes out can be stored and shown."""
    device = describe(text)
    for word in (device.browser, device.os):
        assert len(word) <= MAX_NAME_CHARS
        assert not any(character < " " or "\x7f" <= character <= "\x9f" for character in word)
        assert word.encode().decode() == word


def test_the_parser_is_loaded_at_the_first_use() -> None:
    """Its thousand patterns are no part of the start-up time."""
    program = "import sys, propylon.outside.user_agent; print('ua_parser' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
