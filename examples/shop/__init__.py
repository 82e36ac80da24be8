"""A small shop that is guarded by Propylon in its own process: the example to copy from."""
