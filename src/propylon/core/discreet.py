"""Records that hold a secret, or what is personal: a repr, a log or a traceback shows a few fields of them."""

from __future__ import annotations

from typing import Any, ClassVar


class Discreet:
    """A record of which only the fields in ``shown`` appear in its repr, and in rich's tracebacks."""

    __slots__ = ()

    shown: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, getattr(self, name)) for name in self.shown]
