"""Processes that are forked off: they have no other threads, and locks in whatever state those were."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import TypeVar

Owner = TypeVar("Owner")


def after_fork(owner: Owner, start_over: Callable[[Owner], None]) -> None:
    """Call ``start_over`` with ``owner`` in every process that is forked off while it lives."""
    alive = weakref.ref(owner)

    def in_child() -> None:
        if (found := alive()) is not None:
            start_over(found)

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=in_child)
