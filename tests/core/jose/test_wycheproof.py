"""The JOSE vectors of C2SP/wycheproof, run through our own parser, key import and signatures."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from propylon.core.jose import jws
from propylon.core.jose.jwk import KeySet, VerificationKey, import_jwk
from propylon.core.jose.refusals import KeyRefused, TokenRefused

VECTORS = Path(__file__).parents[2] / "vectors" / "wycheproof"
MAX_BYTES = 16_384

# Defects of json_web_signature_test.json. A correct verifier fails these eight, so they are left out:
SIGNATURE_DEFECTS = {
    367: "byte for byte the valid case 357, but marked invalid",
    370: "byte for byte the valid case 357, but marked invalid",
    372: "has a question mark inside base64url, but is marked valid",
    373: "has a question mark inside base64url, but is marked valid",
    346: "its key is for PS256, its header says PS384, but is marked valid",
    350: "its key is for PS256, its header says PS384, but is marked valid",
    347: "its key names the algorithm ES521 (for ES512), but is marked valid",
    351: "its key names the algorithm ES521 (for ES512), but is marked valid",
}


def cases(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Give every key or key set with every case of it."""
    document = json.loads((VECTORS / name).read_text())
    for group in document["testGroups"]:
        for case in group["tests"]:
            yield group.get("public") or group["private"], case


def accepts(key: dict[str, Any], token: str) -> bool:
    """Verify as a caller does: find the key, by ``kid`` where there is a set, then verify."""
    try:
        compact = jws.parse(token, max_bytes=MAX_BYTES)
        found = find(key, compact.header.kid)
        return found is not None and bool(jws.verify(compact, found) is not None)
    except (TokenRefused, KeyRefused):
        return False


def find(key: dict[str, Any], kid: str | None) -> VerificationKey | None:
    """Load the key, or look it up in the set."""
    if "keys" not in key:
        return import_jwk(key)
    keys = KeySet.from_jwks(json.dumps(key).encode())
    return None if kid is None else keys.find(kid)


def run(name: str, *, leaving_out: dict[int, str] | None = None) -> tuple[Counter[str], list[int]]:
    """Run every JWS of a file; give how many ran by expected result, and which were judged wrongly."""
    ran: Counter[str] = Counter()
    wrong = []
    for key, case in cases(name):
        if "jws" not in case or case["tcId"] in (leaving_out or {}):
            continue
        ran[case["result"]] += 1
        # A token in the JSON serialization comes as an object; a compact verifier sees its text.
        token = case["jws"] if isinstance(case["jws"], str) else json.dumps(case["jws"])
        if accepts(key, token) is not (case["result"] == "valid"):
            wrong.append(case["tcId"])
    return ran, wrong


def test_every_signature_vector_is_judged_rightly() -> None:
    """393 of 401 run; the other 8 are defects of the vectors, named above."""
    ran, wrong = run("json_web_signature_test.json", leaving_out=SIGNATURE_DEFECTS)
    assert ran == {"valid": 40, "invalid": 353}
    assert wrong == []


def test_the_defects_are_judged_by_the_rules_and_not_by_their_mark() -> None:
    """Each defective vector gets the opposite of its mark, which is what the comment beside it says."""
    defects = [(key, case) for key, case in cases("json_web_signature_test.json") if case["tcId"] in SIGNATURE_DEFECTS]
    assert len(defects) == 8
    for key, case in defects:
        assert accepts(key, case["jws"]) is (case["result"] == "invalid"), case["tcId"]


def test_every_key_vector_is_judged_rightly() -> None:
    """All 26 run, among them the ROCA modulus, mixed sets and repeated key names."""
    ran, wrong = run("json_web_key_test.json")
    assert ran == {"valid": 5, "invalid": 21}
    assert wrong == []


def test_every_misuse_vector_of_signatures_is_judged_rightly() -> None:
    """The 49 JWS cases of the misuse families run; the other 34 are JWE, which is not here."""
    ran, wrong = run("json_web_crypto_test.json")
    assert ran == {"valid": 4, "invalid": 45}
    assert wrong == []
