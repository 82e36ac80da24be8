"""Which session cookie a request carries, whatever stands around it."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from propylon.config import made_of
from propylon.core.principal import Credential
from propylon.errors import CredentialRefused
from propylon.http.guard import Asking
from propylon.http.transport import Transport

NAME = "propylon"
PIECES = [
    *(NAME, f"{NAME}=", f"; {NAME}=", f";{NAME}=", f";\t{NAME} =", f"x{NAME}=", f"{NAME}x=", "Propylon="),
    *("=", ";", "; ", " ", "\t", "a", "b=c", '"', ",", "\u00e9"),
]
TRANSPORT = Transport(made_of({"public_url": "http://localhost:8000"}))
AMBIGUOUS = "credential_ambiguous"


def seen(headers: list[tuple[bytes, bytes]]) -> Credential | str | None:
    """Return what is read from a request, or the code of its refusal."""
    try:
        return TRANSPORT.credential({"type": "http", "method": "GET", "headers": headers})
    except CredentialRefused as refusal:
        return refusal.code


def meant(lines: list[str]) -> str | None:
    """Return the value as the rule says it: semicolons part, names match letter for letter, two are ambiguous."""
    pairs = [pair.strip(" \t").partition("=") for line in lines for pair in line.split(";")]
    values = [value for name, equals, value in pairs if equals and name == NAME]
    return AMBIGUOUS if len(values) > 1 else values[0] if values else None


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a machine may be busy with other tests
@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), max_size=3))
@example(["a=b propylon=x"])
@example(["a=b; propylon=x"])
@example(["propylon=x; propylon=y"])
@example(["propylon=x", "propylon=y"])
@example(["propylon=xpropylon=y"])
@example(["propylon=x \t; a"])
def test_a_session_cookie_is_read_by_the_rule_alone(lines: list[str]) -> None:
    """No text around it makes another cookie, or a part of one, pass for it, and none hides that there are two."""
    read = seen([(b"cookie", line.encode("latin-1")) for line in lines])
    assert (read.value if isinstance(read, Credential) else read) == meant(lines)


@given(st.lists(st.sampled_from([b"cookie", b"authorization", b"x-forwarded-for", b"host"]), max_size=6))
def test_a_header_that_came_twice_is_seen_twice(names: list[bytes]) -> None:
    """Two ``Authorization`` headers are refused also where other headers repeat, and split cookies are put together."""
    values = {b"authorization": b"Basic eA==", b"cookie": b"a=b"}
    ours = [(name, values.get(name, b"x")) for name in names]
    expected = AMBIGUOUS if names.count(b"authorization") > 1 else None
    assert seen(ours) == expected
    with_one_more = [*ours, (b"cookie", f"{NAME}=v".encode())]
    read = seen(with_one_more)
    assert (read.value if isinstance(read, Credential) else read) == (expected or "v")


def test_the_question_of_a_request_shows_nothing_of_its_secrets() -> None:
    """A debugger's page or a log that prints a scope prints the question in it."""
    secret = "dead-giveaway"
    gate: Any = None
    asking = Asking(gate, TRANSPORT, {"type": "http", "headers": [(b"cookie", f"{NAME}={secret}".encode())]})
    assert "Asking" in repr(asking)
    assert secret not in repr(asking)
    assert secret not in str({"propylon": asking})
