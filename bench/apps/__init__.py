"""One route in every framework: ``plain`` asks nobody, ``guarded`` asks Propylon, and both answer the same JSON."""

NOBODY = "00000000-0000-4000-8000-000000000000"
