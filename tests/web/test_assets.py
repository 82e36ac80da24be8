"""The static files: there, typed, and asking nothing of the network."""

from __future__ import annotations

import hashlib
import re

import pytest

from propylon.web import ASSETS

TYPES = {
    "propylon.css": "text/css; charset=utf-8",
    "pages.js": "text/javascript; charset=utf-8",
    "favicon.svg": "image/svg+xml",
}


def test_every_asset_has_its_type() -> None:
    """Browsers that are told ``nosniff`` believe the header alone."""
    assert {name: asset.content_type for name, asset in ASSETS.items()} == TYPES


@pytest.mark.parametrize("name", TYPES)
def test_the_digest_is_of_the_body(name: str) -> None:
    """The address changes exactly when the bytes do."""
    assert ASSETS[name].digest == hashlib.sha256(ASSETS[name].body).hexdigest()[:16]


@pytest.mark.parametrize("name", TYPES)
def test_an_asset_loads_nothing_from_elsewhere(name: str) -> None:
    """No font, image or script of a third party, so no third party learns who signs in."""
    text = ASSETS[name].body.decode().replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.findall(r"https?:|url\(|@import|\bimport\b", text)


def test_assets_cannot_be_replaced_at_run_time() -> None:
    """The mapping is read-only: what was hashed is what is served."""
    with pytest.raises(TypeError):
        ASSETS["pages.js"] = ASSETS["propylon.css"]  # type: ignore[index]


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour such as ``#17577a`` (WCAG 2.2)."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2)."""
    darker, lighter = sorted((luminance(first), luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_keep_the_contrast_of_wcag_aa(scheme: int) -> None:
    """Text 4.5:1 on every ground it stands on, edges of inputs 3:1 (1.4.3, 1.4.11)."""
    blocks = re.findall(r":root \{(.*?)\n\s*\}", ASSETS["propylon.css"].body.decode(), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6});", blocks[scheme]))
    grounds = ("ground", "surface", "sunken")
    texts = [(text, ground) for text in ("ink", "muted", "accent", "good", "bad", "warn") for ground in grounds]
    texts += [("on-accent", "accent"), ("on-accent", "accent-strong"), ("accent-strong", "accent-soft")]
    texts += [("muted", "accent-soft"), *((tone, f"{tone}-soft") for tone in ("good", "bad", "warn"))]
    assert not [pair for pair in texts if contrast(colours[pair[0]], colours[pair[1]]) < 4.5]
    assert contrast(colours["line-strong"], colours["surface"]) >= 3
