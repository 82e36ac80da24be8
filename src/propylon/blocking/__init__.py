"""Propylon for code that does not await: Django, Flask, any WSGI app, any thread.

``Blocking`` runs one Propylon on one event loop, in one thread of the process, and answers every other thread. What is
remembered is answered on the thread that asks; all else goes to the loop and back (docs/decisions/0015).
"""

from __future__ import annotations

from propylon.blocking.bridge import Asking, Blocking
from propylon.blocking.environ import served_of

__all__ = ["Asking", "Blocking", "served_of"]
