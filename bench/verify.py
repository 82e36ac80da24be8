"""What verifying costs in process: a warm cookie, a repeated token, a token seen for the first time."""

from __future__ import annotations

import asyncio
import base64
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_private_key

from bench.table import Result, interleaved, median_of, microseconds, ratios
from propylon import Propylon
from propylon.core.jose.access_token import AccessClaims, issue, verify
from propylon.core.jose.jwk import KeySet
from propylon.core.jose.signing import SigningKey
from propylon.core.principal import Credential

ISSUER = "http://localhost:8000"
PASSWORD = "correct horse battery staple"
ROUNDS = 7
NOW = 1_800_000_000


def run() -> list[Result]:
    """Measure."""
    return [*asyncio.run(_warm()), _first_seen()]


async def _warm() -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        propylon = Propylon(store=f"sqlite:///{Path(folder) / 'bench.db'}", password_profile="unsafe_cheapest")
        async with propylon:
            cookie, token = await _signed_in(propylon)
            guarding = await propylon.ready()
            headers = [(b"host", b"localhost:8000"), (b"user-agent", b"bench"), (b"accept", b"*/*")]
            gate, transport = guarding

            async def ask(scope: dict[str, Any]) -> None:
                await guarding.asking(scope).principal()

            results = []
            by_cookie = Credential("cookie", cookie, ambient=True)
            by_token = Credential("access_token", token, ambient=False)
            for what, header, presented, budget in (
                ("cookie session, warm", (b"cookie", b"propylon=" + cookie.encode()), by_cookie, 5.0),
                ("repeated access token", (b"authorization", b"Bearer " + token.encode()), by_token, 3.0),
            ):
                scope = {"type": "http", "method": "GET", "headers": [*headers, header], "client": ("127.0.0.1", 1)}
                await ask(scope)
                figures = [microseconds(lambda c=presented: gate.recall(c)) for _ in range(ROUNDS)]  # type: ignore[misc]
                whole = [microseconds(_stepper(ask, scope)) for _ in range(ROUNDS)]
                parse = [microseconds(lambda s=scope: transport.credential(s)) for _ in range(ROUNDS)]  # type: ignore[misc]
                middle, spread = median_of(figures)
                remark = f"headers {median_of(parse)[0]:.2f} us more; the whole question {median_of(whole)[0]:.2f} us"
                results.append(Result(f"verify: {what}", middle, spread, "us", budget, remark=remark))
            return results


def _stepper(ask: Callable[[dict[str, Any]], Any], scope: dict[str, Any]) -> Callable[[], None]:
    """Return a function that runs the coroutine to its end without an event loop: it never waits when warm."""

    def step() -> None:
        coroutine = ask(scope)
        try:
            coroutine.send(None)
        except StopIteration:
            return
        raise AssertionError("a warm verification waited")

    return step


async def _signed_in(propylon: Propylon) -> tuple[str, str]:
    transport = httpx.ASGITransport(propylon)
    async with httpx.AsyncClient(transport=transport, base_url=ISSUER) as client:
        account = {"email": "bench@example.com", "password": PASSWORD}
        (await client.post("/v1/users", json=account)).raise_for_status()
        token = (await client.post("/v1/sessions", json={**account, "mode": "bearer"})).json()["access_token"]
        (await client.post("/v1/sessions", json={**account, "mode": "cookie"})).raise_for_status()
        return client.cookies["propylon"], token


def _first_seen() -> Result:
    key = SigningKey.generate("ES256")
    keys = KeySet([key.verification_key])
    calls = 2_000
    tokens = [issue(_claims(number), key) for number in range(calls)]
    bare = _bare(key)

    def ours() -> float:
        rest = iter(tokens)
        return microseconds(lambda: _verify(next(rest), keys), calls)

    def by_hand() -> float:
        rest: Iterator[str] = iter(tokens)
        return microseconds(lambda: bare(next(rest)), calls)

    mine, theirs = interleaved(ROUNDS, ours, by_hand)
    middle, spread = median_of(ratios(mine, theirs))
    remark = f"{median_of(mine)[0]:.0f} us against {median_of(theirs)[0]:.0f} us by hand"
    return Result("verify: first-seen ES256 / bare cryptography + msgspec", middle, spread, "x", 1.15, remark=remark)


def _verify(token: str, keys: KeySet) -> AccessClaims:
    return verify(token, keys, issuer=ISSUER, audience=ISSUER, algorithms={"ES256"}, now=NOW, leeway_s=30)


def _claims(number: int) -> AccessClaims:
    return AccessClaims(
        issuer=ISSUER,
        subject="5f0c6a3e-6c7a-4f5e-9b1a-2d7f3a9c1e55",
        audience=(ISSUER,),
        expires_at=NOW + 300,
        issued_at=NOW,
        token_id=f"{number:016d}",
        session_id="ARtizQdXjmBMaNu523CfSA",
        auth_time=NOW,
    )


def _bare(key: SigningKey) -> Callable[[str], Any]:
    """Return the least that verifying can be: split, check the signature, decode, compare four claims."""
    private: Any = load_der_private_key(key.to_private(), None)
    public = private.public_key()
    algorithm = ECDSA(SHA256())
    decode = msgspec.json.Decoder().decode

    def part(text: str) -> bytes:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    def check(token: str) -> Any:
        signed, _, signature = token.rpartition(".")
        head, _, body = signed.partition(".")
        raw = part(signature)
        der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        public.verify(der, signed.encode(), algorithm)
        header, claims = decode(part(head)), decode(part(body))
        sound = header["alg"] == "ES256" and claims["iss"] == ISSUER and claims["aud"] == ISSUER and claims["exp"] > NOW
        if not sound:
            raise AssertionError("the baseline is wrong")
        return claims

    return check
