"""``client/``: the module that pages import. Its size, its types, and its own tests against a real Propylon."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.documents import blocks
from tests.http.serving import Served

from propylon.web.assets import CLIENT, MODULES

ROOT = Path(__file__).parent.parent.parent
HERE = ROOT / "client"
COMPILER = HERE / "node_modules/typescript/bin/tsc"  # scripts/test installs it
MAX_BYTES = 8 * 1024


def run(*command: str | Path, **environ: str) -> str:
    """Run a program in ``client/``; return what it prints."""
    done = subprocess.run(
        command, cwd=HERE, env={**os.environ, **environ}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_is_served_is_the_source_and_fits() -> None:
    """No build in between, comments and all; 8 KB on the wire."""
    assert MODULES["propylon.js"] == CLIENT
    for name, module in MODULES.items():
        assert module.body == (HERE / name).read_bytes()
    assert CLIENT.packed is not None
    assert len(CLIENT.packed) <= MAX_BYTES


def code_of(name: str) -> str:
    """Return a module without its types."""
    return re.sub(r"/\*\*.*?\*/", "", MODULES[name].body.decode(), flags=re.DOTALL)


def test_the_module_needs_nothing_but_itself() -> None:
    """It imports nothing, and loads nothing from anywhere but, across origins, what names the mistakes there."""
    assert re.findall(r"\bimport\((.*?)\)", code_of("propylon.js")) == ['"./propylon-origins.js"']
    assert "import(" not in code_of("propylon-origins.js")
    for name in MODULES:
        assert not re.search(r"^\s*import\b|https?://", code_of(name), re.MULTILINE)
    package = json.loads((HERE / "package.json").read_text())
    assert "dependencies" not in package
    assert list(package["devDependencies"]) == ["typescript"]


def test_what_the_types_are_made_with_is_locked_and_says_no_address() -> None:
    """A version and a checksum; where it comes from is the business of whoever installs."""
    lock = json.loads((HERE / "package-lock.json").read_text())
    assert "://" not in json.dumps(lock)
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert list(packages) == ["node_modules/typescript"]
    assert all(one["integrity"].startswith("sha512-") for one in packages.values())


def test_the_types_hold_and_are_those_of_the_module(tmp_path: Path) -> None:
    """``tsc`` is strict and content, and what it writes is ``propylon.d.ts`` as it stands."""
    run("node", COMPILER, "--declaration", "--emitDeclarationOnly", "--outDir", tmp_path)
    assert (tmp_path / "propylon.d.ts").read_text() == (HERE / "propylon.d.ts").read_text()


USE = """
import { Propylon, PropylonError } from "./propylon.js"
const auth = new Propylon({ mode: "hybrid", language: () => "ko" })
const who = await auth.signIn({ email: "", password: "", remember: true })
const answer: Response = await auth.fetch("/orders", { method: "POST", body: "x" })
const name: string | undefined = (await auth.session())?.user.name
const code: string = new PropylonError({ code: "unreachable" }).code
await auth.ensureFresh(60), await auth.confirm(""), await auth.signOut(), auth.close()
"""


WRONG = """\
new Propylon({ mode: "basic" })
new Propylon({ storage: "localStorage" })
new Propylon({ unsafe_storage: "cookie" })
auth.signIn({ email: "" })
auth.ensureFresh("60")
auth.confirm()
;(await auth.session()).user
auth.token
auth.refresh()
auth.fetch()
auth.addEventListener("renewed", (event) => event.detail.code)
export {}
"""


def test_wrong_use_is_refused_by_the_types(tmp_path: Path) -> None:
    """Whoever uses TypeScript learns of each before anything runs; right use passes, and that of docs/client.md."""
    for name in ("propylon.d.ts", "types.d.ts"):
        (tmp_path / name).write_bytes((HERE / name).read_bytes())
    (tmp_path / "use.ts").write_text(USE + WRONG)
    guide = "".join(block.text for block in blocks(ROOT / "docs/client.md", "js"))
    (tmp_path / "guide.ts").write_text(guide.replace('"/propylon.js"', '"./propylon.js"'))
    options = ["--strict", "--noEmit", "--target", "ES2022", "--module", "ES2022", "--moduleResolution", "bundler"]
    command: list[str | Path] = ["node", COMPILER, *options, "--lib", "ES2022,DOM", "use.ts", "guide.ts"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    refused = [(name, int(line)) for name, line in re.findall(r"(\w+)\.ts\((\d+),", done.stdout)]
    first = len(USE.splitlines()) + 1
    assert refused == [("use", first + n) for n in range(len(WRONG.splitlines()) - 1)], done.stdout


def test_the_modules_own_tests_pass(serve: Callable[..., Served]) -> None:
    """``node --test`` against a server of its own: modes, refusals, faults, clocks, tabs."""
    told = run("node", "--test", "--test-reporter", "tap", HERE, PROPYLON_URL=serve().url)
    assert re.search(r"^# fail 0$", told, re.MULTILINE), told
    assert re.search(r"^# (skipped|todo|cancelled) [1-9]", told, re.MULTILINE) is None
    assert int(re.findall(r"^# pass (\d+)$", told, re.MULTILINE)[0]) > 60
