"""A secret appears where it is issued, and nowhere else: not at rest, not in a log, not in an answer, not in a repr."""

from __future__ import annotations

import base64
import importlib
import pkgutil
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest
from tests.http.driving import (
    EMAIL,
    FORM,
    MODES,
    REFRESH_COOKIE,
    SESSION_COOKIE,
    Connect,
    bearer,
    cookie_value,
    sign_up,
)
from tests.http.serving import Served

import propylon as package
from propylon import Propylon
from propylon.config import load
from propylon.core.principal import Credential
from propylon.core.secret import KeyRing, parse
from propylon.flows.account import NewAccount
from propylon.flows.issue import AccessToken
from propylon.flows.sign_in import SignInRequest
from propylon.http.schemas import SignInBody
from propylon.testing import a_session, a_user

TOKENS = "/v1/session/tokens"
PASSWORDS = ("Zebra-Password-One-7391", "Zebra-Password-Two-7391", "Zebra-Password-Wrong-7391")


class Witness:
    """A client that remembers every secret it was given, and every answer that had no business with one."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self.secrets: set[str] = set(PASSWORDS)
        self.answers: list[bytes] = []

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a request; what the answer issues is a secret from now on."""
        answer = self._client.request(method, path, **request)
        self._client.cookies.clear()
        issued = [cookie_value(answer, name) for name in (SESSION_COOKIE, REFRESH_COOKIE) if f"{name}=" in _set(answer)]
        if answer.headers.get("content-type") == "application/json" and answer.status_code in (200, 201):
            body = answer.json()
            issued += [body[name] for name in ("access_token", "refresh_token") if name in body]
        # The part that nobody could write without us: what stands before it is public.
        fresh = {value.rpartition(".")[2] for value in issued if value} - self.secrets
        self.secrets |= fresh
        told = f"{answer.headers.multi_items()}".encode() + answer.content
        for secret in fresh:
            told = told.replace(secret.encode(), b"")
        self.answers.append(told)
        return answer


def _set(answer: httpx.Response) -> str:
    return " ".join(answer.headers.get_list("set-cookie"))


def use_everything(witness: Witness) -> None:
    """Go through every story, and put every secret where it does not belong."""
    old, new, wrong = PASSWORDS
    witness.ask("POST", "/v1/users", json={"email": EMAIL, "password": old, "name": "Mina"})
    for mode in MODES:
        wish = {"email": EMAIL, "password": old, "mode": mode}
        answer = witness.ask("POST", "/v1/sessions", json=wish)
        held = _held(answer)
        _use_session(witness, answer, held)
    witness.ask("POST", "/v1/sessions", json={"email": EMAIL, "password": wrong})
    answer = witness.ask("POST", "/v1/sessions", json={"email": EMAIL, "password": old, "mode": "bearer"})
    held = bearer(answer.json()["access_token"])
    witness.ask("PUT", "/v1/user/password", headers=held, json={"current_password": wrong, "new_password": new})
    witness.ask("PUT", "/v1/user/password", headers=held, json={"current_password": old, "new_password": new})
    witness.ask("POST", "/login", content=f"email={EMAIL}&password={new}", headers=FORM)
    witness.ask("POST", "/login", content=f"email={EMAIL}&password={wrong}", headers=FORM)
    witness.ask("POST", "/signup", content=f"email={EMAIL}&password={new}", headers=FORM)
    _misplace(witness, *witness.secrets, answer.json()["access_token"], answer.json()["refresh_token"])
    witness.ask("DELETE", "/v1/sessions", headers=held)


def _held(answer: httpx.Response) -> dict[str, str]:
    body = answer.json()
    if "access_token" in body:
        return bearer(body["access_token"])
    return {"cookie": f"{SESSION_COOKIE}={cookie_value(answer)}"}


def _use_session(witness: Witness, answer: httpx.Response, held: dict[str, str]) -> None:
    for path in ("/v1/session", "/v1/sessions", "/v1/session/data", "/v1/verify", "/account", "/"):
        witness.ask("GET", path, headers=held)
    witness.ask("PUT", "/v1/session/data", headers={**held, "if-match": "*"}, json={"n": 1})
    witness.ask("POST", "/v1/session/confirm", headers=held, json={"password": PASSWORDS[0]})
    if "authorization" in held:
        witness.ask("POST", "/v1/session/cookie", headers=held)
    token = answer.json().get("refresh_token")
    if token is not None:
        newer = witness.ask("POST", TOKENS, json={"refresh_token": token}).json()["refresh_token"]
        witness.ask("POST", TOKENS, json={"refresh_token": newer})
        witness.ask("POST", TOKENS, json={"refresh_token": token})  # reuse
    else:
        witness.ask("POST", TOKENS, headers=held)
    witness.ask("DELETE", "/v1/session", headers=held)


def _misplace(witness: Witness, *misplaced: str) -> None:
    """P193: force errors with secrets in every kind of input."""
    for secret in misplaced:
        witness.ask("POST", "/v1/sessions", content=f'{{"email":"{secret}","password":"{secret}"')
        witness.ask("POST", "/v1/sessions", json={"email": secret, "password": secret, "mode": secret})
        witness.ask("POST", "/v1/users", json={"email": secret, "password": secret, "name": secret})
        witness.ask("POST", TOKENS, json={"refresh_token": secret})
        witness.ask("GET", f"/v1/session?access_token={secret}", headers={"authorization": f"Basic {secret}"})
        witness.ask("GET", "/v1/session", headers=bearer(f"{secret}."))
        witness.ask("GET", "/account", headers={"cookie": f"{SESSION_COOKIE}={secret}; {SESSION_COOKIE}={secret}"})
        witness.ask("DELETE", f"/v1/sessions/{secret}", headers=bearer(secret))
        witness.ask("GET", f"/{secret}")
        witness.ask("GET", "/v1/session", headers={"user-agent": secret, "x-forwarded-for": secret})


@pytest.mark.parametrize("workers", [None, "1"])
def test_no_secret_is_at_rest_in_a_log_or_in_an_answer(serve: Callable[..., Served], workers: str | None) -> None:
    """A whole service at log level debug, used in every way: its file, its output and its answers hold none."""
    key = secrets.token_bytes(32)
    ours = {"key": f"k1 {key.hex()}", "log_level": "debug", "session_limit": "20"}
    served = serve(**ours, **({"workers": workers} if workers else {}))
    with httpx.Client(base_url=served.url, timeout=20) as client:
        witness = Witness(client)
        use_everything(witness)
        metrics = client.get("/metrics").content
    at_rest = b"".join(file.read_bytes() for file in served.database.parent.glob("served.db*"))
    log = served.log.read_bytes()
    assert len(witness.secrets) > 20
    assert b"authn_login_success" in log
    assert b"propylon_security_events" in metrics
    spellings = {spelling for secret in witness.secrets for spelling in _spellings(secret)}
    spellings |= {key, key.hex().encode(), base64.urlsafe_b64encode(key).rstrip(b"="), base64.b64encode(key)}
    places = {"file": at_rest, "log": log, "metrics": metrics, "answers": b"\n".join(witness.answers)}
    for place, content in places.items():
        assert [spelling for spelling in spellings if spelling in content] == [], place


def _spellings(secret: str) -> Iterator[bytes]:
    yield secret.encode()
    yield secret.encode().hex().encode()
    try:
        raw = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
    except ValueError:
        return
    if len(raw) >= 16:
        yield raw
        yield raw.hex().encode()


async def test_an_unexpected_error_is_logged_without_what_the_caller_sent(
    in_memory: Propylon, connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """P193: the traceback says where, the answer says nothing."""
    client = connect(in_memory)
    await sign_up(client)

    async def fail(self: Any, stored: str, prepared: bytes) -> bool:
        raise LookupError

    monkeypatch.setattr(type(in_memory.runtime.hashing), "verify", fail)
    answer = await client.post("/v1/sessions", json={"email": EMAIL, "password": PASSWORDS[0]})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "LookupError" in caplog.text
    assert PASSWORDS[0] not in caplog.text + answer.text
    assert "LookupError" not in answer.text


SECRET = PASSWORDS[0]
OPAQUE = f"{'A' * 22}.0.{'B' * 42}A"
PARSED = parse(OPAQUE)
HOLDERS = [
    load({"PROPYLON_KEY": f"k1 {SECRET.encode().hex().ljust(64, 'a')}", "PROPYLON_METRICS_TOKEN": SECRET}),
    KeyRing.parse(f"k1 {SECRET.encode().hex().ljust(64, 'a')}"),
    Credential("cookie", SECRET, ambient=True),
    a_user(password_hash=SECRET, email=SECRET, name=SECRET),
    a_session(salt=SECRET.encode()),
    NewAccount(email=SECRET, password=SECRET, name=SECRET),
    SignInRequest(email=SECRET, password=SECRET, mode="cookie", end=SECRET),
    AccessToken(SECRET, 300),
    SignInBody(email=SECRET, password=SECRET),
]


@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: type(holder).__name__)
def test_the_repr_of_what_holds_a_secret_does_not_show_it(holder: Any) -> None:
    """A repr ends up in logs, and rich's in tracebacks with their locals."""
    shown = repr(holder) + repr(list(holder.__rich_repr__()))
    assert SECRET not in shown
    assert SECRET.encode().hex() not in shown
    assert repr(SECRET.encode())[2:-1] not in shown


def test_the_repr_of_a_parsed_credential_does_not_show_its_secret() -> None:
    """Nor the bytes of it."""
    assert PARSED is not None
    shown = repr(PARSED) + repr(PARSED.__rich_repr__())
    assert repr(PARSED.secret)[2:-1] not in shown
    assert "BBBB" not in shown


SECRET_FIELDS = {"password", "current_password", "new_password", "password_hash", "salt", "metrics_token"} | {
    "access_token",
    "refresh_token",
    "cookie",
    "access",
    "secret",
}


def records() -> Iterator[type[msgspec.Struct]]:
    """Return every record type of the package."""
    names = [module.name for module in pkgutil.walk_packages(package.__path__, "propylon.")]
    for name in names:
        if not name.startswith(("propylon.testing", "propylon.__main__")):
            importlib.import_module(name)
    waiting: list[type[msgspec.Struct]] = list(msgspec.Struct.__subclasses__())
    while waiting:
        record = waiting.pop()
        waiting += record.__subclasses__()
        if record.__module__.startswith("propylon."):
            yield record


def test_every_record_with_a_secret_has_a_repr_of_its_own() -> None:
    """One that is added later and forgets it is found here."""
    holding = [record for record in records() if not SECRET_FIELDS.isdisjoint(record.__struct_fields__)]
    bare = [
        record.__name__
        for record in holding
        if record.__repr__ is msgspec.Struct.__repr__ or record.__rich_repr__ is msgspec.Struct.__rich_repr__
    ]
    assert len(holding) >= 12
    assert bare == []
