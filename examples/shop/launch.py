"""Starts Propylon and the shop side by side: ``python -m examples.shop.launch [arguments of propylon serve]``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import click

from examples.shop import demo, words
from examples.shop.processes import DIRECT, MAX_PORT, Children, address_of, free_port, is_free, reachable
from propylon import SetupError
from propylon import config as settings
from propylon.cli.serve import serve
from propylon.config import Config
from propylon.stores import is_shared, sqlite_path

PROPYLON = "Propylon"
SHOP_PORT = "PROPYLON_SHOP_PORT"


class Plan(NamedTuple):
    """What is to run where."""

    address: str
    port: int
    shop_port: int
    orders: Path
    config: Config

    @property
    def local_url(self) -> str:
        """Where this machine reaches Propylon."""
        return f"http://{reachable(self.address)}:{self.port}"

    @property
    def shop_url(self) -> str:
        """The shop's origin. It has the name that people use for Propylon: cookies belong to the name."""
        return f"http://{urlsplit(self.config.public_url).hostname}:{self.shop_port}"

    @property
    def environ(self) -> dict[str, str]:
        """The environment of both: the caller's, and what makes them one system."""
        return {
            "SHOP_DB": str(self.orders),
            **own_environ(),
            "PROPYLON_PUBLIC_URL": self.config.public_url,
            "PROPYLON_STORE": self.config.store,
            "PROPYLON_SESSION_STORE": self.config.session_store,
            "PROPYLON_ORIGINS": ",".join(dict.fromkeys((*self.config.origins, self.shop_url))),
        }


class NoShopError(Exception):
    """Propylon runs alone; the text says why, where Propylon does not say it itself."""


def main(arguments: list[str]) -> int:
    """Run both until one ends or a signal comes; return Propylon's exit status."""
    if "--help" in arguments:
        words.tell("help")
        return subprocess.call(propylon_command(arguments))  # noqa: S603 - our own command
    with Children() as children:
        try:
            plan = plan_of(arguments)
        except NoShopError as alone:
            words.tell_reason(alone)
            children.start(PROPYLON, propylon_command(arguments), own_environ())
        else:
            children.start(PROPYLON, propylon_command(arguments), plan.environ)
            if children.wait_ready(PROPYLON, f"{plan.local_url}/readyz"):
                open_shop(children, plan)
        return end_of(children)


def plan_of(arguments: list[str]) -> Plan:
    """Work out from the arguments and the environment what is to run, exactly as ``propylon serve`` does.

    Raises:
        NoShopError: the shop cannot run beside this Propylon.
    """
    try:
        given = serve.make_context("serve", list(arguments)).params
        config = config_of(given)
        address, port = address_of(given["host"]), given["port"]
        database = sqlite_path(config.store)
    except (click.UsageError, SetupError, OSError):
        raise NoShopError from None
    if not is_shared(config.store):
        raise NoShopError(words.say("no_shop_memory"))
    if not config.loopback:
        raise NoShopError(words.say("no_shop_public", url=config.public_url))
    if not is_free(address, port):
        raise NoShopError  # whoever listens there must not be taken for our own Propylon
    orders = database.with_name("shop.db") if database is not None else Path("shop.db")
    return Plan(address, port, shop_port_of(address, port), orders, config)


def config_of(given: dict[str, Any]) -> Config:
    """Return the settings that ``propylon serve`` will have."""
    overrides = {name: value for name, value in given.items() if name in Config.__struct_fields__}
    if overrides["public_url"] is None and not settings.is_set("public_url"):
        overrides["public_url"] = f"http://localhost:{given['port']}"
    return settings.load(overrides=overrides)


def shop_port_of(address: str, port: int) -> int:
    """Return the port that was asked for; else the first free one after Propylon's."""
    wanted = os.environ.get(SHOP_PORT)
    if wanted:
        return wanted_port(address, wanted, port)
    found = free_port(address, port + 1)
    if found is None:
        raise NoShopError(words.say("no_shop_free_port", port=port))
    return found


def wanted_port(address: str, wanted: str, port: int) -> int:
    """Return the port that was asked for, if it can be had beside Propylon's."""
    if not wanted.isdecimal() or not 0 < int(wanted) <= MAX_PORT:
        raise NoShopError(words.say("no_shop_port_wrong", port=wanted))
    if int(wanted) == port or not is_free(address, int(wanted)):
        raise NoShopError(words.say("no_shop_port", port=wanted))
    return int(wanted)


def own_environ() -> dict[str, str]:
    """Return the caller's environment without what is said to this launcher alone."""
    return {name: value for name, value in os.environ.items() if name != SHOP_PORT}


def propylon_command(arguments: list[str]) -> list[str]:
    """Return the command of ``propylon serve``, with the arguments as they were given."""
    return [sys.executable, "-m", "propylon", "serve", *arguments]


def open_shop(children: Children, plan: Plan) -> None:
    """Start the shop and say where to go."""
    has_demo = plan.config.sign_up == "open" and seed(plan.local_url)
    environ = plan.environ | ({"SHOP_DEMO": "yes"} if has_demo else {})
    shop = words.say("the_shop")
    children.start(shop, shop_command(plan), environ)
    if children.wait_ready(shop, f"http://{reachable(plan.address)}:{plan.shop_port}/open"):
        words.tell_places(places(plan, has_demo=has_demo))


def shop_command(plan: Plan) -> list[str]:
    """Return the command that serves the shop."""
    listen = ["--host", plan.address, "--port", str(plan.shop_port), "--interface", "asgi", "--no-ws"]
    return [sys.executable, "-m", "granian", *listen, "--log-level", "warning", "examples.shop.app:app"]


def seed(url: str) -> bool:
    """Make the demo account on this machine's Propylon; it may be there already."""
    body = json.dumps(demo.SIGN_IN | {"name": demo.NAME[words.language()]}).encode()
    request = urllib.request.Request(f"{url}/v1/users", body, {"content-type": "application/json"})  # noqa: S310 - ours
    try:
        DIRECT.open(request, timeout=10).close()
    except urllib.error.HTTPError as answer:
        answer.close()
        if answer.code != 409:
            words.tell("no_demo", why=answer)
        return answer.code == 409
    except OSError as error:
        words.tell("no_demo", why=error)
        return False
    return True


def places(plan: Plan, *, has_demo: bool) -> dict[str, str]:
    """Return where to go."""
    url = plan.config.public_url
    pages = {"shop": f"{plan.shop_url}/", "sign_in": f"{url}/login", "sign_up": f"{url}/signup"}
    pages |= {"account": f"{url}/account", "docs": f"{url}/docs"}
    return pages | ({"demo": f"{demo.SIGN_IN['email']}   {demo.SIGN_IN['password']}"} if has_demo else {})


def end_of(children: Children) -> int:
    """Wait for the end; return Propylon's exit status, or the shop's where that ended everything."""
    ended = children.wait_first()
    by_itself = not children.stopping
    if by_itself and children.count > 1:
        words.tell("ended", name=ended, status=children.status(ended))
    children.stop()
    if by_itself and ended != PROPYLON:
        return children.status(ended) or 1
    return children.status(PROPYLON)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
