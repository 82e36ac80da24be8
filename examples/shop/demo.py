"""The account that a visitor of this machine may try the shop with. Never made anywhere else."""

from __future__ import annotations

SIGN_IN = {"email": "demo@example.com", "password": "through-the-gate"}
NAME = {"en": "Mina", "ko": "미나"}
