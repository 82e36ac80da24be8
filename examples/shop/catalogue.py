"""What the shop sells: text in English and Korean, prices in won."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LISTING: list[dict[str, Any]] = json.loads(Path(__file__).with_name("catalogue.json").read_text(encoding="utf-8"))

PRICES_KRW: dict[str, int] = {product["id"]: product["price_krw"] for product in LISTING}


def total_krw(lines: dict[str, int]) -> int:
    """Return what these quantities cost together, in won."""
    return sum(PRICES_KRW[product] * quantity for product, quantity in lines.items())
