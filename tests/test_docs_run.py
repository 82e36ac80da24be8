"""What the documents tell people to run, run: commands by a real shell and real curl, apps in real servers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import PIPE
from threading import Thread

import httpx
import pytest
from tests.documents import ROOT, blocks, links, name_of, programs
from tests.http.serving import Served
from tests.servers.fronts import DEPLOY, nginx, replaced
from tests.servers.ports import free_port

from propylon import Propylon

SAID = "http://localhost:8000"
README = ROOT / "README.md"
FORWARD_AUTH = DEPLOY / "nginx-forward-auth.conf"
BROWSER = {"sec-fetch-site": "same-origin"}
ACCOUNT = {"email": "mina@example.com", "password": "correct horse battery"}

# The status goes to standard error, so that what a command returns stays what it is.
CURL = "curl() { command curl -w '%{stderr}%{http_code}\\n' \"$@\"; }\n"


def run_shell(text: str, folder: Path, **more: str) -> tuple[str, list[str]]:
    """Run commands; return their output and the status of each ``curl``."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PROPYLON_")} | more
    environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
    done = subprocess.run(
        ["bash", "-uc", CURL + text], cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout, done.stderr.split()


def expected(text: str) -> list[str]:
    """Return the statuses that the comments promise."""
    return re.findall(r"# (\d{3})\b", text)


def test_the_guide_to_http_runs_as_it_stands(serve: Callable[..., Served], tmp_path: Path) -> None:
    """Every command of docs/http.md is answered with the status behind it."""
    commands = "".join(block.text for block in blocks(ROOT / "docs/http.md", "sh"))
    _, statuses = run_shell(commands.replace(SAID, serve().url), tmp_path)
    assert statuses == expected(commands)
    assert len(statuses) == len(re.findall(r"\bcurl\b", commands))


@pytest.fixture
def readme_app(tmp_path: Path) -> Iterator[str]:
    """The app of the README, started by the README's own command; its URL."""
    start, requests = [block.text for block in blocks(README, "sh") if SAID in block.text]
    (tmp_path / "app.py").write_text(blocks(README, "python")[0].text)
    url = f"http://localhost:{free_port()}"
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environ |= {"GRANIAN_PORT": url.rpartition(":")[2], "PROPYLON_PASSWORD_PROFILE": "unsafe_cheapest"}
    command = ["bash", "-c", f"exec env {start.replace(SAID, url)}"]
    with (tmp_path / "app.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=log, stderr=log)
    try:
        wait_for(f"{url}/auth/healthz")
        yield requests.replace(SAID, url)
    finally:
        server.terminate()
        server.wait(15)


def test_the_readme_guards_an_app_and_ends_a_token(readme_app: str, tmp_path: Path) -> None:
    """The ten lines of the README do what it says, the last answer included."""
    output, statuses = run_shell(readme_app, tmp_path)
    assert statuses == ["201", "201", "200", "204", "401"]
    assert expected(readme_app) == ["200", "204", "401"]
    assert '"session_id":' in output
    assert '"code":"session_revoked"' in output


def test_the_commands_of_the_readme_exist() -> None:
    """Every other command is a script of this tree."""
    scripts = [block.text.strip() for block in blocks(README, "sh") if SAID not in block.text]
    assert scripts == ["scripts/serve", "scripts/test", "scripts/bench"]
    assert all(os.access(ROOT / script, os.X_OK) for script in scripts)


def test_the_guide_to_apps_runs_as_it_stands(tmp_path: Path) -> None:
    """The files of docs/guide.md, put together, pass the guide's own tests; its Starlette app starts."""
    for name, text in programs(ROOT / "docs/guide.md").items():
        (tmp_path / name).write_text(text)
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:asyncio", "-p", "no:cacheprovider", "test_app.py"]
    done = subprocess.run(pytest_, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    starlette = "from starlette.testclient import TestClient; from starlette_app import app\n"
    asks = "with TestClient(app, base_url='http://localhost:8000') as c: print(c.get('/me').json()['code'])"
    output, _ = run_shell(f'python -c "{starlette}{asks}"', tmp_path, PROPYLON_STORE="sqlite:///starlette.db")
    assert output.strip() == "credential_missing"


def test_the_guide_to_importing_runs_as_it_stands(tmp_path: Path) -> None:
    """The commands of docs/import.md say what the comments promise, in either language's document."""
    (commands,) = [block.text for block in blocks(ROOT / "docs/import.md", "sh")]
    assert commands == blocks(ROOT / "docs/import.ko.md", "sh")[0].text
    output, _ = run_shell(commands, tmp_path, PROPYLON_PASSWORD_PROFILE="unsafe_cheapest", LC_ALL="C.UTF-8")
    dry, first, second = [line for line in output.splitlines() if "Refused: 0." in line]
    assert "Would be imported: 2." in dry
    assert all(said in line for line, said in zip((first, second), re.findall(r"# (.*: 2\.)", commands), strict=True))


def test_the_guide_to_verifying_runs_as_it_stands(serve: Callable[..., Served], tmp_path: Path) -> None:
    """Both programs of docs/verifier.md, with the secret of its command: accepted, ended, refused."""
    served = serve()
    guide = ROOT / "docs/verifier.md"
    for name, text in programs(guide).items():
        (tmp_path / name).write_text(text)
    (command,) = [block.text for block in blocks(guide, "sh")]
    set_up = {"PROPYLON_STORE": f"sqlite:///{served.database}", "PROPYLON_PUBLIC_URL": served.url}
    secret, _ = run_shell(f"{command}echo $secret", tmp_path, **set_up)
    environ = {**os.environ, "ISSUER": served.url, "AUDIENCE": served.url, "VERIFIER_SECRET": secret.strip()}
    port = free_port()
    granian = [str(Path(sys.executable).with_name("granian")), "--interface", "asgi", "--port", str(port), "app:app"]
    python = [sys.executable, "plain.py"]
    with (
        httpx.Client(base_url=served.url) as issuer,
        subprocess.Popen(python, cwd=tmp_path, env=environ, stdin=PIPE, stdout=PIPE, text=True) as plain,
        subprocess.Popen(granian, cwd=tmp_path, env=environ) as app,
    ):
        try:
            wait_for(f"http://localhost:{port}/orders")
            user = issuer.post("/v1/users", json=ACCOUNT).json()["user"]["id"]
            token = issuer.post("/v1/sessions", json={**ACCOUNT, "mode": "bearer"}).json()["access_token"]
            header = {"authorization": f"Bearer {token}"}
            assert httpx.get(f"http://localhost:{port}/orders", headers=header).json() == {"user": user}
            assert asked(plain, token) == user
            assert issuer.delete("/v1/session", headers=header).status_code == 204
            time.sleep(1)
            assert asked(plain, token) == "session_revoked"
            refusal = httpx.get(f"http://localhost:{port}/orders", headers=header)
            assert (refusal.status_code, refusal.json()["code"]) == (401, "session_revoked")
        finally:
            app.terminate()
            plain.terminate()


def asked(program: subprocess.Popen[str], line: str) -> str:
    """Send a program a line and return the line that it answers."""
    assert program.stdin is not None
    assert program.stdout is not None
    program.stdin.write(f"{line}\n")
    program.stdin.flush()
    return program.stdout.readline().strip()


class Behind(BaseHTTPRequestHandler):
    """The app behind a proxy: it tells which identity it was given."""

    def do_GET(self) -> None:
        """Answer with the headers that matter."""
        told = "\n".join(
            f"{name.lower()}: {value}" for name, value in self.headers.items() if "propylon-" in name.lower()
        )
        self.send_response(200)
        self.end_headers()
        self.wfile.write(told.encode())

    do_POST = do_PUT = do_DELETE = do_PROPFIND = do_GET  # noqa: N815 - the names that the library calls

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def behind() -> Iterator[int]:
    """The port of an app that only a proxy should reach."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Behind)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["127.0.0.1", ""], ids=["trusted", "stranger"])
def guarded(request: pytest.FixtureRequest, serve: Callable[..., Served], behind: int, tmp_path: Path) -> Iterator[str]:
    """The nginx that docs/http.md points to in front of a real Propylon, over http on a loopback port; its URL.

    Once as a trusted proxy, and once as nobody in particular, as it is where nobody sets anything.
    """
    port = free_port()
    url = f"http://localhost:{port}"
    propylon = serve(public_url=url, trusted_proxies=request.param)
    here = (
        ("server_name app.example.com", "server_name localhost"),
        ("127.0.0.1:8000", f"127.0.0.1:{propylon.port}"),
        ("127.0.0.1:3000", f"127.0.0.1:{behind}"),
    )
    with nginx(replaced(FORWARD_AUTH.read_text(), *here), port, tmp_path):
        yield url


def test_behind_nginx_the_app_learns_who_is_calling_and_nobody_can_say_it_themselves(guarded: str) -> None:
    """The file lets signed-in requests through with their identity, and neither others nor made-up headers."""
    forged = {"x-propylon-user": "root", "x-propylon-roles": "admin", "x-original-method": "GET"}
    with httpx.Client(base_url=guarded) as browser:
        assert browser.get("/orders", headers=forged).status_code == 401
        user = browser.post("/v1/users", json=ACCOUNT, headers=BROWSER).json()["user"]["id"]
        signed_in = browser.post("/v1/sessions", json=ACCOUNT, headers=BROWSER).json()["session"]
        told = browser.get("/orders", headers=forged).text.splitlines()
        assert sorted(told) == [f"x-propylon-session: {signed_in['id']}", f"x-propylon-user: {user}"]
        assert signed_in["ip"] == "127.0.0.1"
        assert browser.get("/login").status_code == 200
        assert browser.post("/orders", headers=BROWSER | forged).status_code == 200
        assert browser.post("/orders", headers={"sec-fetch-site": "cross-site"} | forged).status_code == 403
        browser.delete("/v1/session", headers=BROWSER)
        assert browser.get("/orders").status_code == 401


@pytest.fixture
def signed_in(guarded: str) -> Iterator[httpx.Client]:
    """A browser of somebody who is signed in; it sends no more by itself than its cookie."""
    with httpx.Client(base_url=guarded) as browser:
        browser.post("/v1/users", json=ACCOUNT, headers=BROWSER).raise_for_status()
        browser.post("/v1/sessions", json=ACCOUNT, headers=BROWSER).raise_for_status()
        yield browser


STRANGERS = (
    {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"sec-fetch-site": "same-site"},
)


def test_behind_nginx_another_site_changes_nothing(signed_in: httpx.Client) -> None:
    """Whatever method a client claims; a link from there, which is a GET, leads in."""
    for page in STRANGERS:
        for claim in ({}, {"x-original-method": "GET"}, {"x-forwarded-method": "GET"}, {"x-http-method": "GET"}):
            for method in ("POST", "PUT", "DELETE", "PROPFIND"):
                assert signed_in.request(method, "/orders", headers=page | claim).status_code == 403
        assert signed_in.get("/orders", headers=page).status_code == 200


def test_behind_nginx_another_site_opens_no_websocket(signed_in: httpx.Client) -> None:
    """The proxy does not pass ``Upgrade`` on to Propylon, and the rest of the handshake tells what it is."""
    handshake = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-version": "13",
    }
    for page in STRANGERS:
        assert signed_in.get("/orders", headers=page | handshake).status_code == 403
    own = {"origin": str(signed_in.base_url).rstrip("/")}
    for page in (own, own | BROWSER, BROWSER):
        assert signed_in.get("/orders", headers=page | handshake).status_code == 200


@pytest.fixture
async def routed(in_memory: Propylon) -> list[str]:
    """An address of every route that there is for people and programs."""
    routes = in_memory.runtime.asgi()._app.routes  # type: ignore[attr-defined] # what is served, not a list of it
    filled = {"{name}": "propylon.css", "{id}": "x"}
    paths = [re.sub(r"{\w+}", lambda found: filled[found[0]], route.path) for route in routes]
    # The app has its own start page; the health of a node is told to those who reach it past the proxy.
    return [path for path in paths if path not in ("/", "/healthz", "/readyz", "/metrics")]


THE_APPS_OWN = (
    *(
        "/",
        "/accounting-app",
        "/accounts",
        "/accountant/x",
        "/console-games",
        "/consoles",
        "/confirmation",
        "/confirm/x",
    ),
    *("/logins", "/login/x", "/x/login", "/languages", "/docs/x", "/v1", "/v10/x", "/statics/x", "/static", "/orders"),
    *("/propylon.json", "/propylon_js", "/propylon-origins.js.map", "/propylon-other.js", "/openapi.jsonp"),
    *("/.well-known/jwks.json.old", "/.well-known/other", "/healthz", "/metrics"),
)


def test_behind_nginx_every_address_goes_where_it_is_served(signed_in: httpx.Client, routed: list[str]) -> None:
    """Every page, module and operation to Propylon, and to the app what is the app's, however alike it begins."""
    for path in routed:
        with signed_in.stream("GET", path) as answer:  # some of them never end
            assert "x-frame-options" in answer.headers, path
            assert answer.status_code != 404, path
    for path in THE_APPS_OWN:
        answer = signed_in.get(path)
        assert answer.status_code == 200, path
        assert "x-propylon-user" in answer.text, path


@pytest.mark.parametrize("path", [ROOT / "docs/http.md", ROOT / "docs/http.ko.md"], ids=name_of)
def test_the_caddyfile_sends_every_address_where_it_is_served(path: Path, routed: list[str]) -> None:
    """The same, by the patterns of its matcher: whole, or with a star at their end."""
    (patterns,) = re.findall(r"@propylon path (.*)", blocks(path, "caddyfile")[0].text)

    def propylons(address: str) -> bool:
        return any(
            address.startswith(pattern[:-1]) if pattern.endswith("*") else address == pattern
            for pattern in patterns.split()
        )

    assert [address for address in routed if not propylons(address)] == []
    assert [address for address in THE_APPS_OWN if propylons(address)] == []


@pytest.mark.parametrize("path", [ROOT / "docs/http.md"], ids=name_of)
def test_the_proxies_trust_only_what_propylon_says(path: Path) -> None:
    """Each snippet names all three headers; a proxy that forgot one would let a client's own pass."""
    assert f"../{FORWARD_AUTH.relative_to(ROOT)}" in links(path)
    snippets = [blocks(path, language)[0].text for language in ("caddyfile", "yaml")]
    for text in (FORWARD_AUTH.read_text(), *snippets):
        assert all(f"X-Propylon-{name}" in text for name in ("User", "Session", "Roles")), text


def wait_for(url: str, patience_s: float = 20) -> None:
    """Return when ``url`` answers anything but a gateway's error."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        try:
            if httpx.get(url).status_code < 500:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"{url} does not answer")
