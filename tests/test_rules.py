"""The rules that the tree keeps, measured: what a reader may rely on without reading all of it."""

from __future__ import annotations

import ast
import re
import statistics
import tomllib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import pytest
from tests import settings_page

from propylon import errors
from propylon.http.problems import STATUS

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src/propylon"
MODULES = {path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text()) for path in SOURCE.rglob("*.py")}
CORE = [name for name in MODULES if name.startswith("core/")]
TESTS = [
    *sorted((ROOT / "tests").rglob("test_*.py")),
    *sorted((SOURCE / "testing").glob("*_rules.py")),
]
IGNORED = {".git", ".venv", "__pycache__", "node_modules", "test-output"}

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

# What decides must not act: everything that would let a decision depend on the moment or the machine.
ACTING_MODULES = {
    "asyncio", "datetime", "fcntl", "glob", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random",
    "select", "selectors", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile",
    "threading", "time", "urllib.request", "uuid",
}  # fmt: skip
ACTING_CALLS = {"open", "print", "input", "exec", "eval", "__import__", "breakpoint"}

# Where the environment is read beside ``config``, and why there.
ENVIRONMENT = {
    "config/__init__.py": "the settings",
    "cli/texts.py": "the language of the terminal is asked before any setting",
    "cli/program.py": "whether to show a traceback, also when the settings are what failed",
    "cli/serve.py": "hands the settings to the workers, and the metrics library its directory",
    "cli/serving.py": "takes the number of workers from the parent process",
    "http/metrics.py": "the metrics library reads its directory there",
    "agora/site.py": "whether it is the baseline, which its parent process says",
    "agora/naive.py": "where its file lies, likewise",
    "agora/stateless.py": "the public key that it is given, likewise",
    "agora/elsewhere.py": "the settings of a service that is not Propylon",
    "agora/stage/sites.py": "hands the servers of an experiment their settings, and nobody's own",
}

# Codes that no caller ever sees, and why.
NEVER_ANSWERED = {
    "error": "the root; what is raised has a code of its own",
    "conflict": "likewise",
    "setup_wrong": "stops the start; its sentence is for the operator",
    "not_open": "a mistake of the program around us",
    "not_at_hand": "likewise: it asked a verifier for what only the store knows",
    "unsealable": "a node whose key is not the store's does not start",
    "key_refused": "a key that was given to be loaded; nobody sends one",
    "user_unknown": "the command line says it",
    "session_unknown": "the command line says it",
    "other_user": "the Python client says it to the program around it",
    "verifier_name": "the command line says it",
    "verifier_exists": "likewise",
    "verifier_unknown": "likewise",
    "verifiers_too_many": "likewise",
    "verifiers_changed_meanwhile": "likewise",
    "hash_unreadable": "a damaged row; the caller is told `internal`",
}

# What a check returns proves that it was made, so nobody else may construct it.
MADE_BY = {
    "Principal": {"core/access.py", "flows/gate.py"},
    "AccessClaims": {"core/jose/access_token.py", "flows/issue.py", "agora/experiments/crypto.py"},
    "Presented": {"core/secret.py"},
    "VerificationKey": {"core/jose/jwk.py"},
    "Credential": {"http/transport.py"},
    **{outcome: {"core/refresh.py"} for outcome in ("Rotated", "Repeated", "Late", "Reused", "Missing")},
    **{outcome: {"core/limits.py"} for outcome in ("Admitted", "LimitReached")},
}

TIMES = re.compile(r"(^|_)(ttl|age|timeout|lifetime|interval)(_|$)")


def functions(tree: ast.AST) -> Iterator[Function]:
    """Return every function and method."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def length(function: Function) -> int:
    """Return the lines of a body, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def imported(tree: ast.AST) -> Iterator[str]:
    """Return the names of imported modules, and of what is taken out of them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def called(tree: ast.AST) -> Iterator[str]:
    """Return the plain names that are called."""
    return (node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name))


def files(*suffixes: str) -> Iterator[Path]:
    """Return the files of the project with these endings; all of them where none is given."""
    for path in ROOT.rglob("*"):
        within = path.relative_to(ROOT).parts
        ours = not IGNORED.intersection(within) and not any(re.match(r"\.(?!ci$)", part) for part in within)
        if ours and path.is_file() and (not suffixes or path.suffix in suffixes):
            yield path


def test_the_rules_see_the_tree() -> None:
    """A rule over nothing holds always."""
    assert len(MODULES) > 80
    assert len(CORE) > 20
    assert len(TESTS) > 40


@pytest.mark.parametrize("name", CORE)
def test_core_decides_and_does_not_act(name: str) -> None:
    """No waiting, clock, environment, file, log or chance: time arrives as a number, the rest as values."""
    tree = MODULES[name]
    waits = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert not [node for node in ast.walk(tree) if isinstance(node, waits)]
    assert not ACTING_MODULES.intersection(imported(tree))
    assert not ACTING_CALLS.intersection(called(tree))


def protocols() -> list[ast.ClassDef]:
    """Return the protocols of ``ports``, without those composed of others."""
    return [node for node in every_protocol() if ast.unparse(node.bases[0]) == "Protocol"]


def every_protocol() -> list[ast.ClassDef]:
    """Return the protocols of ``ports``."""
    classes = [node for node in MODULES["ports.py"].body if isinstance(node, ast.ClassDef)]
    return [node for node in classes if any(ast.unparse(base) == "Protocol" for base in node.bases)]


@pytest.mark.parametrize("port", protocols(), ids=lambda port: port.name)
def test_a_port_is_small_and_every_method_is_a_contract_in_words(port: ast.ClassDef) -> None:
    """At most five methods, each documented; nobody has to guess what ``*args`` may be."""
    methods = list(functions(port))
    assert 0 < len(methods) <= 5
    assert [method.name for method in methods if not ast.get_docstring(method)] == []
    assert [method.name for method in methods if method.args.vararg is not None] == []


@pytest.mark.parametrize("port", protocols(), ids=lambda port: port.name)
def test_a_port_has_no_verb_that_two_callers_could_both_win(port: ast.ClassDef) -> None:
    """``find`` and then ``mark_used`` is a race; single use is one atomic verb."""
    assert [method.name for method in functions(port) if re.match("_*(mark|set)_", method.name)] == []


def test_a_store_is_the_ports_and_nothing_more() -> None:
    """A store, or half of one, owes no method that no port describes."""
    stores = [node for node in every_protocol() if ast.unparse(node.bases[0]) != "Protocol"]
    assert {node.name for node in stores} == {"SessionHalf", "AccountHalf", "Store", "SessionStore", "AccountStore"}
    for store in stores:
        assert list(functions(store)) == []
        assert {ast.unparse(base) for base in store.bases} < {port.name for port in every_protocol()} | {"Protocol"}


def numbers_of_time(tree: ast.AST) -> Iterator[str]:
    """Return parameters and fields that hold a number and whose name speaks of a length of time."""
    for node in ast.walk(tree):
        name, annotation = "", None
        if isinstance(node, ast.arg):
            name, annotation = node.arg, node.annotation
        elif isinstance(node, ast.AnnAssign):
            name, annotation = ast.unparse(node.target).rpartition(".")[2].lower(), node.annotation
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant | ast.BinOp):
            name, annotation = ast.unparse(node.targets[0]).lower(), ast.Name("int")
        if annotation is not None and TIMES.search(name) and re.search(r"\b(int|float)\b", ast.unparse(annotation)):
            yield name


def test_units_stand_in_names() -> None:
    """A number of seconds is called so: two days that became zero are somebody else's bug."""
    named = [(name, number) for name, tree in MODULES.items() for number in numbers_of_time(tree)]
    assert len(named) > 30
    assert [(name, number) for name, number in named if not number.endswith("_s")] == []


def test_functions_are_short() -> None:
    """Half of them within ten lines, nine of ten within thirty, none beyond sixty."""
    lengths = {
        f"{name} {function.name}": length(function) for name, tree in MODULES.items() for function in functions(tree)
    }
    in_order = sorted(lengths.values())
    assert statistics.median(in_order) <= 10
    assert in_order[len(in_order) * 9 // 10] <= 30
    assert {name: lines for name, lines in lengths.items() if lines > 60} == {}


def test_files_are_short() -> None:
    """Whoever opens one reads it whole."""
    long = {path.name: count for path in SOURCE.rglob("*.py") if (count := len(path.read_text().splitlines())) > 400}
    assert long == {}


def test_no_name_says_nothing() -> None:
    """What belongs nowhere ends in ``utils``; so there is none."""
    empty = {"util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"}
    named = {part for path in files() for part in (*path.relative_to(ROOT).parts[:-1], path.stem)}
    assert named & empty == set()


def test_whatever_weakens_stands_on_the_page() -> None:
    """Every ``unsafe_`` in the source is in the list that the page of settings ends with."""
    named = {word for path in SOURCE.rglob("*.py") for word in re.findall(r"\bunsafe_[a-z_]+\b", path.read_text())}
    assert named == set(settings_page.unsafe_names())
    for page in settings_page.FILES.values():
        assert all(f"\n- `{name}`\n" in page.read_text() for name in named)


def reads_environment(tree: ast.AST) -> bool:
    """Tell whether a module touches the environment of the process."""
    attributes = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    taken = {"os.environ", "os.getenv", "os.environb", "os.putenv"}
    return bool(taken & (attributes | set(imported(tree))))


def test_the_environment_is_read_in_one_place() -> None:
    """And where else, with the reason; an entry without its reading is out of date."""
    assert {name for name, tree in MODULES.items() if reads_environment(tree)} == set(ENVIRONMENT)


@pytest.mark.parametrize("proof", MADE_BY)
def test_what_proves_a_check_is_made_by_the_check_alone(proof: str) -> None:
    """Whoever holds a principal or an outcome holds something that was verified or decided."""
    makers = {name for name, tree in MODULES.items() if proof in called(tree) and not name.startswith("testing/")}
    assert makers == MADE_BY[proof]


def raised_codes() -> set[str]:
    """Return every code that the source gives an error where it is raised."""
    classes = {name for name, thing in vars(errors).items() if isinstance(thing, type)}
    found: set[object] = set()
    for tree in MODULES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in classes - {"SetupError", "Unusable"}:
                found |= {code.value for code in node.args[:1] if isinstance(code, ast.Constant)}
    return {code for code in found if isinstance(code, str)}


def error_classes() -> list[type[errors.PropylonError]]:
    """Return the whole error tree, with all that any module adds to it."""
    import propylon.app  # noqa: F401, PLC0415 - whatever serves is loaded then

    pending, found = [errors.PropylonError], []
    while pending:
        found.append(pending.pop())
        pending += found[-1].__subclasses__()
    return found


def test_every_error_has_a_status_or_a_reason_to_have_none() -> None:
    """A code that is in neither table would be answered as our own fault."""
    codes = {error.code for error in error_classes() if error.__module__.startswith("propylon.")} | raised_codes()
    assert len(codes) > 30
    assert codes - set(STATUS) - set(NEVER_ANSWERED) == set()
    assert set(NEVER_ANSWERED) <= codes
    assert set(NEVER_ANSWERED) & set(STATUS) == set()


def test_every_status_belongs_to_a_code_that_something_says() -> None:
    """A row for what never happens misleads whoever reads the table."""
    elsewhere = "".join(path.read_text() for path in SOURCE.rglob("*.py") if path.name != "problems.py")
    assert [code for code in STATUS if f'"{code}"' not in elsewhere] == []


def test_no_status_lives_below_http() -> None:
    """Whose fault it is decides there; which number that has, the table."""
    for error in error_classes():
        assert not {"status", "status_code"} & set(vars(error))


def test_what_is_for_tests_is_used_by_tests() -> None:
    """Nothing that serves imports ``propylon.testing``."""
    users = {
        name for name, tree in MODULES.items() if any(part.startswith("propylon.testing") for part in imported(tree))
    }
    assert {name for name in users if not name.startswith("testing/")} == set()


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_test_says_what_it_is_for(path: Path) -> None:
    """In a sentence, which reads without the code."""
    tests = [function for function in functions(ast.parse(path.read_text())) if function.name.startswith("test_")]
    silent = [test.name for test in tests if not (ast.get_docstring(test) or "").endswith((".", "?"))]
    assert silent == []


def test_no_test_is_left_out() -> None:
    """A test that is skipped or expected to fail proves nothing, and looks as if it did."""
    left_out = re.compile(r"pytest\.(mark\.)?(skip|skipif|xfail|importorskip)\b|@unittest\.skip")
    assert [path.name for path in TESTS if path != Path(__file__) and left_out.search(path.read_text())] == []


def declared() -> set[str]:
    """Return the names of all packages that the project depends on, for whatever purpose."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted: Iterable[str] = chain(project["dependencies"], *project["optional-dependencies"].values())
    return {re.split(r"[\[><=~! ;]", requirement)[0] for requirement in wanted}


def test_every_dependency_has_a_reason() -> None:
    """One line each in the decisions, and no line for what is not used."""
    tables = (ROOT / "docs/decisions/0002-dependencies.md").read_text()
    listed = set(re.findall(r"^\| ([a-z0-9-]+) \|", tables, re.MULTILINE)) - {"what"}
    assert listed - {"uv"} == declared()


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").iterdir()), ids=lambda path: path.name)
def test_a_lock_names_versions_and_hashes_and_no_address(path: Path) -> None:
    """Where packages come from is the business of whoever installs; what they are is not."""
    text = re.sub(r"\\\n", " ", path.read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(lines) > 5
    for line in lines:
        assert re.match(r"[a-z0-9._-]+==[^ ]+( ; [^#]+?)?( +--hash=sha256:[0-9a-f]{64})+( *#.*)?$", line), line
    assert not re.search(r"://|--index|--find-links|--extra-index|--trusted-host|@", path.read_text())


def test_nothing_tells_where_it_was_made() -> None:
    """No path of anybody's machine in any file: what works in one place only is a defect in every other."""
    machine = re.compile(r"(?<![\w.~-])/(work|root|home|Users|mnt)/(?!\.)\w")
    told = {}
    for path in files(".py", ".md", ".toml", ".json", ".txt", ".js", ".j2", ".css", ".html", ".sql", ""):
        if "vectors" not in path.parts and (found := machine.search(path.read_text(errors="replace"))):
            told[path.relative_to(ROOT).as_posix()] = found.group()
    assert told == {}
