"""What is wrong with a set-up is one sentence, there in both languages, and none is there for nothing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from propylon.core.jose.key_checks import rsa_fault
from propylon.errors import PropylonError, SetupError, Unusable
from propylon.language import LANGUAGES, catalogue

SOURCE = Path(__file__).parents[1] / "src/propylon"
SENTENCES = {key.removeprefix("setup."): text for key, text in catalogue("en").items() if key.startswith("setup.")}
CLASSES = {"SetupError", "KeyRefused", "Unusable"}
HANGUL = re.compile("[가-힣]")


def made() -> Iterator[tuple[str, ast.Call]]:
    """Yield every key that the source makes such an error of, with the call that does."""
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from keys_in(function)


def keys_in(function: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Yield the keys of one function: written in the call, or in a variable that it is handed."""
    for call in ast.walk(function):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in CLASSES:
            assert len(call.args) == 1, ast.unparse(call)
            keys = words_of(call.args[0]) or [
                word
                for node in ast.walk(function)
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == ast.unparse(call.args[0])
                for word in words_of(node.value)
            ]
            assert keys, ast.unparse(call)
            yield from ((key, call) for key in keys)


def words_of(node: ast.expr) -> list[str]:
    """Return the literals that an expression may come to."""
    if isinstance(node, ast.IfExp):
        return [*words_of(node.body), *words_of(node.orelse)]
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


MADE = list(made())


def test_every_sentence_is_said_somewhere_and_every_one_said_exists() -> None:
    """A key with no sentence would be a traceback at the worst moment; one that nobody says is dead."""
    assert {key for key, _ in MADE} == set(SENTENCES)
    assert len(SENTENCES) > 80


@pytest.mark.parametrize(("key", "call"), MADE, ids=[key for key, _ in MADE])
def test_every_sentence_gets_the_facts_that_it_asks_for(key: str, call: ast.Call) -> None:
    """Never a sentence with a hole, which would be a ``KeyError`` instead of help."""
    asked = {name for _, name, _, _ in Formatter().parse(SENTENCES[key]) if name is not None}
    assert asked <= {keyword.arg for keyword in call.keywords}


def test_an_error_is_english_for_developers_and_in_its_readers_language() -> None:
    """Logs and tracebacks show English, whoever started the process."""
    error = SetupError("settings_file_missing", path="x.toml")
    assert str(error) == error.said("en") == "There is no settings file x.toml: correct PROPYLON_CONFIG or remove it."
    assert error.said("ko") == "x.toml 설정 파일이 없습니다. PROPYLON_CONFIG를 고치거나 없애 주세요."
    assert (error.code, error.key, error.facts) == ("setup_wrong", "settings_file_missing", {"path": "x.toml"})
    assert isinstance(error, PropylonError)


@pytest.mark.parametrize("why", [Unusable("value_empty"), SetupError("ring_empty")], ids=["clause", "sentence"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_reason_within_a_sentence_is_in_the_same_language(language: str, why: Unusable | SetupError) -> None:
    """Not half of each."""
    told = SetupError("setting_unusable", name="PROPYLON_X", why=why).said(language)
    assert told.endswith(why.said(language))
    assert bool(HANGUL.search(told.partition(why.said(language))[0])) == (language == "ko")


def test_a_clause_is_a_value_error_with_its_own_words() -> None:
    """Whoever reads values by themselves may catch the built-in one."""
    with pytest.raises(ValueError, match=r"^it has to be from 1 to 9\.$"):
        raise Unusable("value_out_of_range", least=1, most=9)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("key", SENTENCES)
def test_every_sentence_ends(key: str, language: str) -> None:
    """With a full stop or a question mark, or with a reason that has its own."""
    assert catalogue(language)[f"setup.{key}"].endswith((".", "?", "{why}"))


def test_the_fault_of_a_key_is_said_in_both_languages() -> None:
    """Also where a check finds it and another function raises it."""
    fault = rsa_fault(2**1023 + 1, 65537)
    assert fault is not None
    assert str(fault) == "RSA modulus must have 2048 to 8192 bits."
    assert fault.said("ko") == "RSA 모듈러스는 2048비트에서 8192비트까지여야 합니다."
