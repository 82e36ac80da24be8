"""Speaks HTTP: the only room, with ``app``, that knows ASGI."""
