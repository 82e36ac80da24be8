"""Where a request comes from, as far as a flow needs to know."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from propylon.core.device import Device
from propylon.core.network import source
from propylon.core.refresh import origin

DescribeDevice = Callable[[str | None], Device]


class Caller(msgspec.Struct, frozen=True):
    """The address (of the client, not of a proxy) and the user agent of a request."""

    ip: str
    user_agent: str | None

    @property
    def source(self) -> str:
        """What failures are counted against: one IPv4 address or one IPv6 /64."""
        return source(self.ip)

    @property
    def origin(self) -> str:
        """The mark that the ``Late`` rule compares."""
        return origin(self.ip, self.user_agent)
