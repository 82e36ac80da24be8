"""What is installed: a light import, verification without the server, and a wheel with everything in it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import venv
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

from propylon.web.assets import MODULES

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src/propylon"

# What ``propylon[server]`` brings, by the names under which it is imported.
SERVER = (
    "argon2", "bcrypt", "click", "email_validator", "granian", "idna", "jinja2", "prometheus_client", "rich",
    "starlette", "ua_parser", "uvloop",
)  # fmt: skip
HEAVY = (*SERVER, "asyncio", "cryptography", "fastapi", "sqlite3", "asyncpg", "redis")

# A finder at the front of the import system: as if the packages were not installed.
WITHOUT_SERVER = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {SERVER!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name.partition(".")[0])

sys.meta_path.insert(0, Missing())
"""


def run(code: str) -> str:
    """Run Python in a process of its own; return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "module", ["propylon", "propylon.config", "propylon.ports", "propylon.language", "propylon.stores"]
)
def test_importing_loads_no_server_driver_or_template_engine(module: str) -> None:
    """An app that only names an error or a principal pays for nothing else."""
    loaded = run(f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])")
    assert loaded == "[]"


def test_the_heavy_ones_are_loaded_by_the_server() -> None:
    """The test above could fail."""
    loaded = run(
        f"import sys; from propylon import Propylon; print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    for name in ("argon2", "starlette", "asyncio", "cryptography"):
        assert f"'{name}'" in loaded


VERIFYING = """
from propylon.core.jose.access_token import AccessClaims, TokenRefused, issue, verify
from propylon.core.jose.jwk import KeySet
from propylon.core.jose.signing import SigningKey
from propylon.core.remembered import RememberedPrincipals
from propylon.core.revocation import RevokedSessions
from propylon import CredentialRefused, Principal

key = SigningKey.generate("ES256")
claims = AccessClaims(issuer="https://id.example", subject="u", audience=("https://api.example",), expires_at=300,
                      issued_at=0, token_id="t", session_id="s", auth_time=0)
token = issue(claims, key)
rules = dict(issuer="https://id.example", audience="https://api.example", algorithms=["ES256"], leeway_s=0)
assert verify(token, KeySet([key.verification_key]), now=299, **rules) == claims
try:
    verify(token, KeySet([key.verification_key]), now=300, **rules)
except TokenRefused as refused:
    print(refused.code)
"""


def test_a_token_is_verified_where_no_server_is_installed() -> None:
    """``pip install propylon`` brings what verifying needs, and it is enough."""
    assert run(WITHOUT_SERVER + VERIFYING) == "token_expired"


@pytest.mark.parametrize(
    "module",
    [
        "propylon",
        "propylon.config",
        "propylon.ports",
        "propylon.flows.gate",
        "propylon.core.csrf",
        "propylon.verifier",
        "propylon.problems",
    ],
)
def test_what_decides_is_importable_where_no_server_is_installed(module: str) -> None:
    """Nothing on the way to a decision needs more than the two packages."""
    assert run(f"{WITHOUT_SERVER}\nimport {module}; print('here')") == "here"


# Each adapter, what its framework itself brings of the server's packages, and how an app is guarded by it.
ADAPTERS = [
    ("starlette", {"starlette"}, "from starlette.applications import Starlette; Auth(verifier).guard(Starlette())"),
    ("fastapi", {"starlette"}, "from fastapi import FastAPI; Auth(verifier).guard(FastAPI())"),
    ("litestar", {"click", "rich"}, "from litestar import Litestar; Litestar(plugins=[Auth(verifier)])"),
]


@pytest.mark.parametrize(("adapter", "brings", "guard"), ADAPTERS, ids=[adapter for adapter, _, _ in ADAPTERS])
def test_an_app_is_guarded_by_a_verifier_where_no_server_is_installed(
    adapter: str, brings: set[str], guard: str
) -> None:
    """The framework and the light install are enough; Litestar's needs no Starlette."""
    missing = tuple(name for name in SERVER if name not in brings | {"idna"})
    code = f"""
from propylon.adapters.{adapter} import Auth
from propylon.verifier import Verifier

verifier = Verifier(issuer="https://id.example", audience="https://api.example", secret="s")
{guard}
print("guarded")
"""
    assert run(WITHOUT_SERVER.replace(repr(SERVER), repr(missing)) + code) == "guarded"


@pytest.mark.parametrize("missing", ["starlette", "argon2"])
def test_a_missing_server_is_told_with_what_to_install(missing: str) -> None:
    """One sentence, which names the package and the extra."""
    code = f"""
    {WITHOUT_SERVER.replace(repr(SERVER), repr((missing,)))}
import propylon
try:
    propylon.Propylon
except propylon.SetupError as error:
    print(error)
"""
    assert run(code.replace("\n    \n", "\n")) == (
        f"Propylon as a server needs the package {missing!r}: install propylon[server]."
    )


LIGHT = """
import sys
import propylon.verifier as verifier
from propylon import CredentialRefused, Unavailable

here = verifier.Verifier(issuer="https://id.example", audience="https://api.example", secret="s")
try:
    here.verify("x")
except Unavailable as error:
    answer = here.answer(error, "ko")
    print(answer.status, answer.headers["content-language"], sorted(
        name for name in sys.modules if name.startswith("propylon.") and name.count(".") == 1
    ))
"""


def test_a_light_installation_verifies(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """The wheel in an environment of its own, beside the two packages that it needs and nothing else."""
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    python = tmp_path / "venv/bin/python"
    ask = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    found = subprocess.run(ask, capture_output=True, text=True, check=True)
    site = Path(found.stdout.strip())
    wheel.extractall(site)
    for needed in ("cryptography", "msgspec", "cffi", "pycparser", "_cffi_backend"):
        spec = importlib.util.find_spec(needed)
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            whole = origin.parent if origin.name == "__init__.py" else origin
            (site / whole.name).symlink_to(whole)
    done = subprocess.run([python, "-I", "-c", LIGHT], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    status, language, loaded = done.stdout.strip().split(" ", 2)
    assert (status, language) == ("503", "ko")
    rooms = ("core", "errors", "language", "ports", "problems", "verifier")
    assert loaded == str([f"propylon.{room}" for room in rooms])


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built without reaching out."""
    directory = tmp_path_factory.mktemp("wheel")
    options = ["--no-build-isolation", "--no-deps", "--no-index", "--quiet", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, "-w", directory, ROOT], check=True)
    (path,) = directory.iterdir()
    return zipfile.ZipFile(path)


def test_the_wheel_holds_the_package_whole_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    """Templates, texts, migrations, styles, types: every file of the package, and no test."""
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    files = (path.relative_to(SOURCE.parent) for path in SOURCE.rglob("*") if path.is_file())
    modules = {f"propylon/web/static/{name}": ROOT / "client" / name for name in MODULES}
    assert packed == {*modules, *(path.as_posix() for path in files if "__pycache__" not in path.parts)}
    for name, path in modules.items():
        assert wheel.read(name) == path.read_bytes()
    for needed in (
        "py.typed", "locales/en.json", "locales/ko.json", "stores/sql/0001_initial.sql", "web/static/propylon.css",
        "web/templates/sign_in.html.j2", "outside/data/common_passwords.txt.gz",
    ):  # fmt: skip
        assert f"propylon/{needed}" in packed


SERVED = """
import propylon.web.assets as assets
print(assets.__file__, assets.CLIENT.digest)
"""


def test_the_browser_client_is_found_in_the_tree_and_in_the_wheel(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """The same bytes, wherever Propylon was installed from."""
    wheel.extractall(tmp_path)
    here = run(SERVED).split()
    packed = run(f"import sys; sys.path.insert(0, {str(tmp_path)!r}){SERVED}").split()
    assert packed[0].startswith(str(tmp_path))
    assert here[0].startswith(str(SOURCE))
    assert packed[1] == here[1]


def test_the_wheel_says_what_it_is(wheel: zipfile.ZipFile) -> None:
    """Licence and notice come along, two packages are needed, and there is one command."""
    names = wheel.namelist()
    (record,) = [name for name in names if name.endswith("/METADATA")]
    information = record.removesuffix("METADATA")
    metadata = message_from_string(wheel.read(record).decode())
    always = [needed for needed in metadata.get_all("Requires-Dist") or [] if "extra ==" not in needed]
    assert sorted(needed.partition(">")[0] for needed in always) == ["cryptography", "msgspec"]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert {f"{information}licenses/LICENSE", f"{information}licenses/NOTICE"} <= set(names)
    assert "propylon = propylon.cli:main" in wheel.read(f"{information}entry_points.txt").decode()
