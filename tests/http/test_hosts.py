"""Whose name a request comes under, and through whom: hosts, trusted proxies, forward-auth."""

from __future__ import annotations

import pytest
from tests.http.driving import SESSION_COOKIE, Connect, MakePropylon, bare, bearer, enter, refused, sign_in, sign_up

from propylon import Propylon
from propylon.flows.account import NewAccount

PROXY = "10.0.0.7"
VERIFY = "/v1/verify"


@pytest.fixture
async def public(make_propylon: MakePropylon) -> Propylon:
    """A service known as https://id.example, behind proxies in 10.0.0.0/8."""
    return await make_propylon(
        store="memory", public_url="https://id.example", sign_up="open", trusted_proxies="10.0.0.0/8"
    )


@pytest.mark.parametrize(
    "hosts",
    [
        ["evil.example"],
        ["id.example.evil.example"],
        ["id.example@evil.example"],
        ["evil.example@id.example"],
        ["id.example:8443"],
        ["id.example:80"],
        ["id.example:443:443"],
        ["id.example."],
        ["id.example/"],
        ["id.example, evil.example"],
        ["id.example", "evil.example"],
        ["id.example", "id.example"],
        ["localhost"],
        ["127.0.0.1"],
        [""],
        [" "],
        ["\x80"],
        [],
    ],
)
async def test_an_unknown_host_is_refused(public: Propylon, hosts: list[str]) -> None:
    """A173: one name, ours, or 400; nothing of the request is served and links never come from it."""
    answer = await bare(public, "GET", "/v1/session", [(b"host", host.encode("latin-1")) for host in hosts])
    refused(answer, 400, "host_unknown")
    assert answer.json()["type"].startswith("https://id.example/")


@pytest.mark.parametrize("host", ["id.example", "ID.Example", "id.example:443"])
async def test_the_public_host_is_known_in_any_case_and_with_its_own_port(public: Propylon, host: str) -> None:
    """RFC 9110 4.2.3: the default port may stand there."""
    refused(await bare(public, "GET", "/v1/session", [(b"host", host.encode("latin-1"))]), 401, "credential_missing")


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "a.localhost:8000", "127.0.0.1:9", "127.8.8.8", "[::1]:80"]
)
async def test_on_this_machine_any_loopback_name_and_port_will_do(in_memory: Propylon, host: str) -> None:
    """A node answers on its own port."""
    refused(await bare(in_memory, "GET", "/v1/session", [(b"host", host.encode("latin-1"))]), 401, "credential_missing")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "evil.example@localhost",
        "localhost/",
        "localhost?",
        "localhost:x",
        "localhost:",
        "localhost#",
        "localhost:999999",
        "[::1",
        "0.0.0.0",  # noqa: S104 - a name in a header
        "192.168.1.1",
        "",
    ],
)
async def test_a_page_that_rebound_its_name_to_this_machine_is_refused(in_memory: Propylon, host: str) -> None:
    """DNS rebinding: the connection is local, the name is not."""
    refused(await bare(in_memory, "GET", "/v1/session", [(b"host", host.encode("latin-1"))]), 400, "host_unknown")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("hosts", [["10.1.2.3:8000"], ["evil.example"], [], ["a", "b"]])
async def test_health_is_told_under_any_host(public: Propylon, path: str, hosts: list[str]) -> None:
    """A load balancer asks by address."""
    answer = await bare(public, "GET", path, [(b"host", host.encode("latin-1")) for host in hosts])
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    "header", ["x-forwarded-host", "x-forwarded-server", "x-original-host", "forwarded", "x-host", "x-forwarded-prefix"]
)
async def test_no_forwarded_name_makes_a_link(public: Propylon, connect: Connect, header: str) -> None:
    """A173, P187: whatever a proxy or a client says, addresses come from the public URL alone."""
    client = connect(public, "https://id.example", ip=PROXY)
    headers = {header: "host=evil.example" if header == "forwarded" else "evil.example"}
    for path in ("/v1/session", "/login", "/docs", "/openapi.json", "/account", "/nowhere"):
        answer = await client.get(path, headers=headers)
        assert "evil" not in answer.text + str(answer.headers)


@pytest.mark.parametrize("proto", ["http", "https", "http, https", "ws", "javascript"])
async def test_no_forwarded_scheme_takes_secure_away(public: Propylon, connect: Connect, proto: str) -> None:
    """P187, S93: cookies are ``Secure`` because the public URL is https, whatever the hop before us was."""
    client = connect(public, "https://id.example", ip=PROXY)
    await sign_up(client)
    body = {"email": "mina@example.com", "password": "correct horse battery", "mode": "cookie"}
    answer = await client.post("/v1/sessions", json=body, headers={"x-forwarded-proto": proto})
    assert "Secure" in answer.headers["set-cookie"]
    assert answer.headers["set-cookie"].startswith("__Host-propylon=")


@pytest.mark.parametrize(
    ("peer", "lines", "shown"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["1.2.3.4"], "203.0.113.9"),
        ("203.0.113.9", ["10.0.0.1"], "203.0.113.9"),
        (PROXY, [], PROXY),
        (PROXY, ["198.51.100.4"], "198.51.100.4"),
        (PROXY, ["1.2.3.4, 198.51.100.4"], "198.51.100.4"),
        (PROXY, ["1.2.3.4", "198.51.100.4"], "198.51.100.4"),
        (PROXY, ["1.2.3.4, 198.51.100.4, 10.9.9.9"], "198.51.100.4"),
        (PROXY, ["1.2.3.4, <script>alert(1)</script>"], PROXY),
        (PROXY, ["198.51.100.4:4711"], "198.51.100.4"),
        (PROXY, ["[2001:db8::1]:4711"], "2001:db8::1"),
        (PROXY, ["2001:db8::1%eth0"], "2001:db8::1"),
        (PROXY, [", ".join(["1.2.3.4"] * 500)], "1.2.3.4"),
        (PROXY, [""], PROXY),
        (PROXY, ["unknown"], PROXY),
    ],
)
async def test_the_address_in_the_device_list_is_not_the_clients_to_choose(
    public: Propylon, connect: Connect, peer: str, lines: list[str], shown: str
) -> None:
    """P186: counted from the right, over configured proxies alone; else the other end of the connection."""
    client = connect(public, "https://id.example", ip=peer)
    await sign_up(client)
    body = {"email": "mina@example.com", "password": "correct horse battery", "mode": "bearer"}
    headers = [("x-forwarded-for", line) for line in lines]
    answer = await client.post("/v1/sessions", json=body, headers=headers)
    assert answer.json()["session"]["ip"] == shown


@pytest.mark.parametrize(
    "name", ["x_forwarded_for", "x-real-ip", "forwarded", "x-client-ip", "x-forwarded-for-", "true-client-ip"]
)
async def test_no_other_header_is_an_address(public: Propylon, connect: Connect, name: str) -> None:
    """P186, P189: one header counts, in its exact name, even from a trusted proxy."""
    client = connect(public, "https://id.example", ip=PROXY)
    await sign_up(client)
    body = {"email": "mina@example.com", "password": "correct horse battery", "mode": "bearer"}
    answer = await client.post(
        "/v1/sessions", json=body, headers={name: "for=1.2.3.4" if name == "forwarded" else "1.2.3.4"}
    )
    assert answer.json()["session"]["ip"] == PROXY


@pytest.mark.parametrize("mode", ["cookie", "bearer"])
async def test_forward_auth_names_user_session_and_roles(
    make_propylon: MakePropylon, connect: Connect, mode: str
) -> None:
    """204 with three headers that a proxy copies; no body, nothing cached."""
    propylon = await make_propylon(store="memory", roles="editor=posts.write, admin=users.read")
    account = NewAccount(email="ed@example.com", password="correct horse battery", roles=("editor", "admin"))
    user = await propylon.runtime.accounts.add(account)
    client = connect(propylon)
    body = await sign_in(client, mode, email="ed@example.com")
    answer = await client.get(VERIFY, headers=bearer(body["access_token"]) if mode == "bearer" else {})
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["x-propylon-user"] == user.id
    assert answer.headers["x-propylon-session"] == body["session"]["id"]
    assert answer.headers["x-propylon-roles"] == "admin,editor"
    assert answer.headers["cache-control"] == "no-store"


async def test_forward_auth_does_not_pass_on_what_the_client_claims(in_memory: Propylon, connect: Connect) -> None:
    """The three headers of a request mean nothing, and a refusal carries none of them."""
    client = connect(in_memory)
    claims = {"x-propylon-user": "somebody", "x-propylon-session": "s", "x-propylon-roles": "admin"}
    nobody = await client.get(VERIFY, headers=claims)
    refused(nobody, 401, "credential_missing")
    assert not set(claims) & set(nobody.headers)
    await enter(client)
    somebody = await client.get(VERIFY, headers=claims)
    assert somebody.headers["x-propylon-user"] != "somebody"
    assert somebody.headers["x-propylon-roles"] == ""


CROSS_SITE = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}


@pytest.mark.parametrize(
    ("stated", "status"),
    [
        ([("x-forwarded-method", "POST")], 403),
        ([("x-original-method", "DELETE")], 403),
        ([("x-forwarded-method", "post")], 403),
        ([("x-forwarded-method", "PROPFIND")], 403),
        ([("x-forwarded-method", "GET"), ("x-original-method", "POST")], 403),
        ([("x-forwarded-method", "GET"), ("x-forwarded-method", "POST")], 403),
        ([("x-forwarded-method", "GET, POST")], 403),
        ([("x-forwarded-method", "GET")], 204),
        ([("x-original-method", "HEAD")], 204),
        ([("x-forwarded-method", ""), ("x-original-method", "HEAD")], 204),
        ([("x-forwarded-method", "")], 403),
        ([("x-original-method", " ")], 403),
        ([("x-http-method-override", "GET")], 403),
        ([], 403),
    ],
)
@pytest.mark.parametrize("peer", [PROXY, "203.0.113.9"])
async def test_behind_forward_auth_the_original_method_counts(
    public: Propylon, connect: Connect, peer: str, stated: list[tuple[str, str]], status: int
) -> None:
    """The proxy asks by GET about a POST of another site: refused, also where it is a stranger or tells nothing."""
    home = connect(public, "https://id.example")
    await enter(home)
    cookie = ("cookie", f"__Host-propylon={home.cookies['__Host-propylon']}")
    proxy = connect(public, "https://id.example", ip=peer)
    answer = await proxy.get(VERIFY, headers=[cookie, *stated, *CROSS_SITE.items()])
    assert answer.status_code == status
    if status == 403:
        refused(answer, 403, "cross_site_refused")
        same_site = await proxy.get(VERIFY, headers=[cookie, *stated, ("sec-fetch-site", "same-origin")])
        assert same_site.status_code == 204


HANDSHAKE = {"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version": "13"}
UPGRADE = {"connection": "Upgrade", "upgrade": "websocket"}
HANDSHAKES = (
    UPGRADE | HANDSHAKE,
    HANDSHAKE,  # a proxy drops what is for one hop
    UPGRADE,
    {"upgrade": "WebSocket"},
    {"upgrade": "h2c, websocket"},
    {"sec-websocket-version": "13"},
    {"sec-websocket-protocol": "chat"},
    {"sec-websocket-extensions": "permessage-deflate"},
)


@pytest.mark.parametrize("stated", [{"x-forwarded-method": "GET"}, {"x-original-method": "GET"}, {}])
@pytest.mark.parametrize("handshake", HANDSHAKES)
@pytest.mark.parametrize("peer", [PROXY, "203.0.113.9"])
async def test_behind_forward_auth_no_other_site_opens_a_websocket(
    public: Propylon, connect: Connect, peer: str, handshake: dict[str, str], stated: dict[str, str]
) -> None:
    """A handshake is a GET that every page may send, with cookies, and what follows it may read."""
    home = connect(public, "https://id.example")
    await enter(home)
    headers = {"cookie": f"__Host-propylon={home.cookies['__Host-propylon']}", **handshake, **stated}
    proxy = connect(public, "https://id.example", ip=peer)
    for page in (
        CROSS_SITE,
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "https://evil.id.example", "sec-fetch-site": "same-site"},
        {"origin": "https://id.example", "sec-fetch-site": "cross-site"},
        {"origin": "http://id.example"},
    ):
        refused(await proxy.get(VERIFY, headers=headers | page), 403, "cross_site_refused")
    for page in (
        {"origin": "https://id.example"},
        {"origin": "https://id.example", "sec-fetch-site": "same-origin"},
        {},
    ):
        assert (await proxy.get(VERIFY, headers=headers | page)).status_code == 204


async def test_another_upgrade_is_no_websocket(public: Propylon, connect: Connect) -> None:
    """A client that would rather speak HTTP/2 follows a link from another site as any other does."""
    home = connect(public, "https://id.example")
    await enter(home)
    followed = {**CROSS_SITE, "connection": "upgrade", "upgrade": "h2c", "x-forwarded-method": "GET"}
    assert (await home.get(VERIFY, headers=followed)).status_code == 204
    assert (await home.get("/v1/session", headers=followed)).status_code == 200


async def test_behind_forward_auth_a_token_may_come_from_anywhere(public: Propylon, connect: Connect) -> None:
    """Explicit credentials are not refused for their origin there either."""
    client = connect(public, "https://id.example", ip=PROXY)
    token = (await enter(client, "bearer"))["access_token"]
    for more in ({"x-forwarded-method": "POST"}, {}, *HANDSHAKES):
        headers = {**bearer(token), **CROSS_SITE, **more}
        assert (await client.get(VERIFY, headers=headers)).status_code == 204


async def test_behind_forward_auth_an_ended_session_is_out_at_once(in_memory: Propylon, connect: Connect) -> None:
    """What was signed out is refused at the next question, from memory or not."""
    client = connect(in_memory)
    await enter(client)
    jar = {"cookie": f"{SESSION_COOKIE}={client.cookies[SESSION_COOKIE]}"}
    assert (await client.get(VERIFY)).status_code == 204
    await client.delete("/v1/session")
    refused(await connect(in_memory).get(VERIFY, headers=jar), 401, "session_revoked")
