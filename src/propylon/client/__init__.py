"""Staying signed in from Python: an ``httpx.Auth`` for command lines, services and apps without cookies.

Example:
    ::

        import httpx
        from propylon.client import FilePlace, PropylonAuth

        auth = PropylonAuth("https://id.example", email=email, password=getpass.getpass, place=FilePlace(path))
        with httpx.Client(auth=auth, base_url="https://id.example") as client:
            who = client.get("/v1/session").json()  # or raises a PropylonError with .code

Everything here needs ``httpx`` beside the light install (``propylon[client]``); ``docs/python-client.md`` is the guide.
"""

from __future__ import annotations

from propylon.client.auth import PropylonAuth
from propylon.client.keyring_place import KeyringPlace
from propylon.client.places import FilePlace, MemoryPlace, Place

__all__ = ["FilePlace", "KeyringPlace", "MemoryPlace", "Place", "PropylonAuth"]
