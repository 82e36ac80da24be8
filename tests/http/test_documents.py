"""Documents about the service: public keys, OpenAPI, the reference page, static files."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from itsdangerous import TimestampSigner
from joserfc import jwt
from joserfc.jwk import KeySet
from tests.http.driving import EMAIL, PASSWORD, Connect, MakePropylon, bearer, enter, held, refused, sign_in, sign_up

from propylon import Propylon
from propylon.flows.account import NewAccount
from propylon.http.operations import OPERATIONS, Operation
from propylon.http.problems import STATUS
from propylon.testing.records import NOW
from propylon.web.assets import ASSETS, CLIENT, MODULES

JWKS = "/.well-known/jwks.json"
PUBLIC_MEMBERS = {
    "ES256": {"kty", "crv", "x", "y", "alg", "use", "kid"},
    "EdDSA": {"kty", "crv", "x", "alg", "use", "kid"},
    "RS256": {"kty", "n", "e", "alg", "use", "kid"},
}


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # in RFC 9864, for two names that libraries hardly know
@pytest.mark.parametrize("algorithm", PUBLIC_MEMBERS)
async def test_the_published_keys_verify_a_token_and_hold_nothing_private(
    make_propylon: MakePropylon, connect: Connect, algorithm: str
) -> None:
    """Another library, with nothing but this document, reads our token; no private part is in it."""
    client = connect(await make_propylon(store="memory", algorithm=algorithm))
    body = await enter(client, "bearer")
    answer = await client.get(JWKS)
    assert answer.headers["content-type"] == "application/jwk-set+json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    (key,) = answer.json()["keys"]
    assert (set(key), key["alg"], key["use"]) == (PUBLIC_MEMBERS[algorithm], algorithm, "sig")
    token = jwt.decode(body["access_token"], KeySet.import_key_set(answer.json()), algorithms=[algorithm])
    assert token.header == {"alg": algorithm, "typ": "at+jwt", "kid": key["kid"]}
    assert (token.claims["iss"], token.claims["sid"]) == ("http://localhost:8000", body["session"]["id"])


async def test_a_shared_secret_is_never_published(make_propylon: MakePropylon, connect: Connect) -> None:
    """With HS256 whoever could verify could also sign: the set is empty."""
    client = connect(await make_propylon(store="memory", algorithm="HS256"))
    body = await enter(client, "bearer")
    assert (await client.get(JWKS)).json() == {"keys": []}
    assert (await client.get("/v1/session", headers=held(body))).status_code == 200


async def test_after_a_rotation_both_keys_are_there_and_both_tokens_good(in_memory: Propylon, connect: Connect) -> None:
    """The old one verifies what it signed, the new one signs from now on."""
    client = connect(in_memory)
    before = (await enter(client, "bearer"))["access_token"]
    await in_memory.runtime.keys.rotate()
    after = (await sign_in(client, "bearer"))["access_token"]
    keys = (await client.get(JWKS)).json()
    kids = [
        jwt.decode(token, KeySet.import_key_set(keys), algorithms=["ES256"]).header["kid"] for token in (before, after)
    ]
    assert sorted(kids) == sorted(key["kid"] for key in keys["keys"])
    assert kids[0] != kids[1]
    for token in (before, after):
        assert (await client.get("/v1/session", headers=bearer(token))).status_code == 200


@pytest.fixture
async def document(in_memory: Propylon, connect: Connect) -> dict[str, Any]:
    """The OpenAPI document as it is served."""
    answer = await connect(in_memory).get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


async def test_openapi_lists_every_route_of_the_contract_and_no_other(document: dict[str, Any]) -> None:
    """Methods and paths of design.md section 5."""
    listed = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert listed == {
        "POST /v1/users",
        "POST /v1/sessions",
        "GET /v1/session",
        "DELETE /v1/session",
        "POST /v1/session/tokens",
        "POST /v1/session/cookie",
        "GET /v1/session/data",
        "GET /v1/session/events",
        "PUT /v1/session/data",
        "PUT /v1/user/password",
        "POST /v1/session/exchange",
        "POST /v1/session/confirm",
        "GET /v1/sessions",
        "DELETE /v1/sessions",
        "DELETE /v1/sessions/{id}",
        "GET /v1/verify",
        "GET /v1/feed",
        "GET /v1/mode",
        "PUT /v1/mode",
        "GET /.well-known/jwks.json",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
    }


async def test_openapi_holds_to_its_own_rules(document: dict[str, Any]) -> None:
    """OpenAPI 3.1: required members, unique ids, path parameters declared, every reference resolved."""
    assert document["openapi"] == "3.1.0"
    assert set(document["info"]) >= {"title", "version"}
    assert document["servers"] == [{"url": "http://localhost:8000"}]
    operations = [(path, one) for path, methods in document["paths"].items() for one in methods.values()]
    ids = [one["operationId"] for _, one in operations]
    assert len(set(ids)) == len(ids)
    for path, one in operations:
        declared = {given["name"] for given in one.get("parameters", []) if given["in"] == "path"}
        assert declared == set(re.findall(r"{(\w+)}", path))
        assert all(given["required"] for given in one.get("parameters", []) if given["in"] == "path")
        assert all(re.fullmatch(r"[1-5]\d\d", status) for status in one["responses"])
        assert all(answer["description"] for answer in one["responses"].values())
        assert one["summary"]
        assert one["tags"]
    schemes = document["components"]["securitySchemes"]
    assert {name for _, one in operations for choice in one.get("security", []) for name in choice} <= set(schemes)
    for reference in re.findall(r'"\$ref": "(.*?)"', json.dumps(document)):
        target: Any = document
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
        assert target


async def test_every_problem_code_is_documented(
    document: dict[str, Any], in_memory: Propylon, connect: Connect
) -> None:
    """Each code that a caller can meet stands at an operation, and has its place in the reference page."""
    told = json.dumps(document)
    reference = (await connect(in_memory).get("/docs")).text
    # These come before there is an operation, or from the shape of the request alone.
    elsewhere = {"method_not_allowed", "unavailable"}
    # And these are demanded by routes of apps (``core.demand``), never by one of ours.
    elsewhere |= {"insufficient_scope", "reauthentication_required", "token_expiring"}
    for code in set(STATUS) - elsewhere:
        assert code in told, code
    for code in STATUS:
        assert f'id="{code}"' in reference, code


def _media(operation: Operation) -> str | None:
    return operation.media_type if any(operation.answers.values()) else None


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
async def test_an_operation_answers_as_documented(
    in_memory: Propylon,
    make_propylon: MakePropylon,
    connect: Connect,
    tmp_path: Path,
    document: dict[str, Any],
    operation: Operation,
) -> None:
    """Its success has a status, media type, headers and members that the document names."""
    client = connect(in_memory)
    follow = {"feed.follow": followed, "events.follow": told}.get(operation.name)
    if operation.name == "sessions.exchange":
        answer = await exchanged(make_propylon, connect, tmp_path)
    elif operation.tag == "administration":
        answer = await administered(make_propylon, connect, operation)
    else:
        answer = await (follow(in_memory, client) if follow is not None else succeed(client, operation))
    described = document["paths"][operation.path][operation.method.lower()]["responses"][str(answer.status_code)]
    assert answer.headers.get("content-type", "").partition(";")[0] == (_media(operation) or "")
    for name in described.get("headers", {}):
        assert name in answer.headers
    if operation.media_type == "application/json" and _media(operation):
        schema = described["content"]["application/json"]["schema"]
        conforms(answer.json(), schema, document)


async def followed(propylon: Propylon, client: httpx.AsyncClient) -> httpx.Response:
    """Follow the feed until the verifier is removed; a client in this process sees an answer when it has ended."""
    verifiers = propylon.runtime.verifiers
    secret = (await verifiers.add("shop")).secret
    following = asyncio.create_task(client.get("/v1/feed", headers=bearer(secret)))
    await asyncio.sleep(0.1)
    await verifiers.remove("shop")
    return await following


async def told(propylon: Propylon, client: httpx.AsyncClient) -> httpx.Response:
    """Follow one's own session until it ends, likewise."""
    headers = held(await enter(client, "bearer"))
    following = asyncio.create_task(client.get("/v1/session/events", headers=headers))
    await asyncio.sleep(0.1)
    await client.delete("/v1/session", headers=headers)
    return await following


class Signer(TimestampSigner):
    """Starlette's, at the time of the tests' clock."""

    def get_timestamp(self) -> int:
        """Return that time."""
        return NOW


async def exchanged(make_propylon: MakePropylon, connect: Connect, folder: Path) -> httpx.Response:
    """Exchange a session of a Starlette."""
    (folder / "bridge.toml").write_text('system = "starlette"\nsecrets = ["theirs"]\nuser_key = "user"')
    client = connect(await make_propylon(store="memory", bridge=str(folder / "bridge.toml")))
    user = {"user": (await sign_up(client))["id"]}
    cookie = Signer("theirs").sign(base64.b64encode(json.dumps(user).encode())).decode()
    return await client.post("/v1/session/exchange", headers={"cookie": f"session={cookie}"})


async def administered(make_propylon: MakePropylon, connect: Connect, operation: Operation) -> httpx.Response:
    """Do what an administrator alone may do."""
    propylon = await make_propylon(store="memory", roles={"operator": ["propylon:mode"]})
    await propylon.runtime.accounts.add(NewAccount(email=EMAIL, password=PASSWORD, roles=("operator",)))
    client = connect(propylon)
    await sign_in(client)
    given = {"mode": "bearer", "for": ["apps"]} if operation.method == "PUT" else None
    return await client.request(operation.method, operation.path, json=given)


async def succeed(client: httpx.AsyncClient, operation: Operation) -> httpx.Response:
    """Make the account, sign in by the fitting credential, and do what the operation does."""
    body = await enter(client, "bearer" if operation.security == "bearer" else "cookie")
    headers = {**held(body), "if-match": "*"}
    bodies: dict[str, Any] = {
        "accounts.sign_up": {"email": "new@example.com", "password": PASSWORD},
        "sessions.sign_in": {"email": EMAIL, "password": PASSWORD, "mode": "bearer"},
        "accounts.change_password": {"current_password": PASSWORD, "new_password": "a different horse battery"},
        "accounts.confirm": {"password": PASSWORD},
        "data.replace": {"x": 1},
    }
    path = operation.path.format(id=body["session"]["id"])
    given = bodies.get(operation.name)
    answer = await client.request(operation.method, path, json=given, headers=headers)
    assert answer.is_success, answer.text
    return answer


def conforms(value: Any, schema: dict[str, Any], document: dict[str, Any]) -> None:
    """Check a value against the part of JSON Schema that our document uses."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert "enum" not in schema or value in schema["enum"]
    kind = schema.get("type")
    if kind == "object":
        assert isinstance(value, dict)
        assert set(schema.get("required", [])) <= set(value)
        for name, child in value.items():
            if "properties" in schema:
                conforms(child, schema["properties"][name], document)
    elif kind == "array":
        for child in value:
            conforms(child, schema["items"], document)
    elif kind is not None:
        assert isinstance(value, {"string": str, "integer": int, "boolean": bool}[kind])


async def test_the_examples_of_the_document_work(
    in_memory: Propylon, connect: Connect, document: dict[str, Any]
) -> None:
    """The example address makes an account."""
    (example,) = document["components"]["schemas"]["SignUpBody"]["properties"]["email"]["examples"]
    answer = await connect(in_memory).post("/v1/users", json={"email": example, "password": PASSWORD})
    assert answer.status_code == 201


async def test_the_cookie_names_in_the_document_are_the_real_ones(
    make_propylon: MakePropylon, connect: Connect
) -> None:
    """Also where the public URL is https."""
    client = connect(await make_propylon(store="memory", public_url="https://id.example"), "https://id.example")
    schemes = (await client.get("/openapi.json")).json()["components"]["securitySchemes"]
    assert schemes["sessionCookie"]["name"] == "__Host-propylon"
    assert schemes["refreshCookie"]["name"] == "__Secure-propylon-refresh"


@pytest.mark.parametrize("language", ["en", "ko"])
async def test_the_reference_shows_every_operation(in_memory: Propylon, connect: Connect, language: str) -> None:
    """``/docs`` in the reader's language, without a request to anywhere else."""
    page = await connect(in_memory).get("/docs", headers={"accept-language": language})
    assert page.headers["content-language"] == language
    for operation in OPERATIONS:
        assert operation.path in page.text
    assert not re.search(r'(src|href)="(https?:)?//', page.text)


@pytest.mark.parametrize("name", ASSETS)
async def test_a_static_file_may_be_kept_for_ever_under_its_digest(
    in_memory: Propylon, connect: Connect, name: str
) -> None:
    """With the right digest a year, without or with another one five minutes; the type is exact."""
    client = connect(in_memory)
    asset = ASSETS[name]
    versioned = await client.get(f"/static/{name}", params={"v": asset.digest})
    assert (versioned.content, versioned.headers["content-type"]) == (asset.body, asset.content_type)
    assert versioned.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert versioned.headers["x-content-type-options"] == "nosniff"
    for params in ({}, {"v": "another"}):
        answer = await client.get(f"/static/{name}", params=params)
        assert answer.headers["cache-control"] == "public, max-age=300"


async def test_the_browser_client_is_a_module_that_may_be_kept(in_memory: Propylon, connect: Connect) -> None:
    """For ever under its digest, five minutes without; whoever has it already is sent nothing."""
    client = connect(in_memory)
    versioned = await client.get("/propylon.js", params={"v": CLIENT.digest})
    assert (versioned.content, versioned.headers["content-type"]) == (CLIENT.body, "text/javascript; charset=utf-8")
    assert versioned.headers["cache-control"] == "public, max-age=31536000, immutable"
    for params in ({}, {"v": "another"}):
        plain = await client.get("/propylon.js", params=params)
        assert (plain.content, plain.headers["cache-control"]) == (CLIENT.body, "public, max-age=300")
    etag = plain.headers["etag"]
    for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        again = await client.get("/propylon.js", headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert (await client.get("/propylon.js", headers={"if-none-match": '"x"'})).status_code == 200


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("origin", ["https://app.example.com", "https://other.example.com", "null"])
async def test_pages_of_any_origin_import_the_browser_client(
    make_propylon: MakePropylon, connect: Connect, name: str, origin: str
) -> None:
    """It is no secret, and on a page that may not call it is what says so; credentials are never mentioned."""
    client = connect(await make_propylon(store="memory", origins="https://app.example.com"))
    answer = await client.get(f"/{name}", headers={"origin": origin})
    assert answer.content == MODULES[name].body
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/static/nothing.js",
        "/static/propylon.js",
        "/static/",
        "/static",
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e%2fapp.py",
        "/static/propylon.css/",
        "/static/propylon.css%00",
        "/static/PROPYLON.CSS",
        "/static//propylon.css",
        "/v1/session.css",
        "/account/x.css",
        "/account;x.css",
        "/account%2fx.js",
    ],
)
async def test_no_other_path_is_a_file_or_a_page(in_memory: Propylon, connect: Connect, path: str) -> None:
    """C123: nothing outside the table of files; no page answers under a name that a cache takes for a file."""
    client = connect(in_memory)
    await enter(client)
    refused(await client.get(path), 404, "not_found")
