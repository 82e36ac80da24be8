"""The keyring of the operating system: Keychain, Secret Service, Credential Locker."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from propylon.client.forking import after_fork
from propylon.client.places import file_lock
from propylon.errors import SetupError


class KeyringPlace:
    """Keeps the tokens in the keyring of whoever is logged in to this machine (``propylon[keyring]``).

    A keyring has no lock. Where several processes share an entry, name a file to lock; without it two that renew in
    the same moment get the same successor from the server, as two tabs do, and both may keep it.

    Args:
        service: the app, as the keyring shows it.
        account: whose tokens these are; one entry an account.
        lock_file: what processes lock that share this entry; holds nothing.

    Raises:
        SetupError: the package is not installed.
    """

    def __init__(self, service: str, account: str, *, lock_file: str | os.PathLike[str] | None = None) -> None:
        self._keyring = _keyring()
        self._service, self._account = service, account
        self._lock_path = Path(lock_file) if lock_file is not None else None
        self._start_over()
        after_fork(self, KeyringPlace._start_over)

    def load(self) -> str | None:
        """Return the entry; raises ``OSError`` when the keyring stays locked, or there is none."""
        text: str | None = self._ask(self._keyring.get_password)
        return text

    def save(self, text: str) -> None:
        """Replace the entry."""
        self._ask(self._keyring.set_password, text)

    def remove(self) -> None:
        """Delete the entry."""
        if self.load() is not None:
            self._ask(self._keyring.delete_password)

    def lock(self) -> AbstractContextManager[None]:
        """Lock out the other threads, and processes where a file to lock is named."""
        return self._locked()

    def _ask(self, ask: Callable[..., Any], *given: str) -> Any:
        """Raise what a keyring raises as the ``OSError`` that every place raises.

        Of the system beneath a backend (D-Bus, a program that it runs) anything may come up, and the text of that may
        repeat what was to be stored: of an error that is none of ``keyring``'s own, the name is told alone.
        """
        try:
            return ask(self._service, self._account, *given)
        except self._keyring.errors.KeyringError as error:
            said = f"{type(error).__name__}: {error}"
        except Exception as error:  # noqa: BLE001 - whatever it is, the entry cannot be had
            said = type(error).__name__
        # By itself, while nothing is being handled: some backends put what they were given into theirs.
        raise OSError(said)

    def _start_over(self) -> None:
        self._threads = threading.Lock()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self._lock_path is not None:
            with file_lock(self._lock_path):
                yield
        else:
            with self._threads:
                yield


def _keyring() -> ModuleType:
    try:
        import keyring  # noqa: PLC0415 - it looks for backends when it is imported, and is an extra
        import keyring.errors  # noqa: PLC0415
    except ModuleNotFoundError:
        raise SetupError("client_keyring_missing") from None
    return keyring
