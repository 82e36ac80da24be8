"""Randomness, injected: a function from a number of bytes to that many random ones."""

from __future__ import annotations

from collections.abc import Callable

Randomness = Callable[[int], bytes]
