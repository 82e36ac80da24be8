"""The device of a session, as its owner would recognise it in a list."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["desktop", "mobile", "app"]


class Device(msgspec.Struct, frozen=True):
    """What the user agent said of itself: a hint for people, never evidence.

    Attributes:
        browser: product name, such as ``Chrome``, ``KakaoTalk`` or ``curl``; empty when unknown.
        os: ``Windows``, ``macOS``, ``iOS``, ``Android``, ...; empty when unknown.
        kind: ``desktop`` or ``mobile`` for a browser, ``app`` for anything else.
    """

    browser: str
    os: str
    kind: Kind
