"""``python -m propylon``: the same as ``propylon``."""

from __future__ import annotations

import sys

from propylon.cli import main

sys.exit(main())
