"""The memory of verified tokens: bounded, and never kinder than the verification it stands for."""

from __future__ import annotations

import msgspec
import pytest
from tests.core.jose.forge import CLAIMS

from propylon.core.jose.access_token import VerifiedTokens


def test_a_token_is_remembered_until_its_deadline() -> None:
    """At the deadline itself it is over."""
    memory = VerifiedTokens()
    memory.put(b"token", CLAIMS, 10.0)
    assert memory.get(b"token", 9.999) is CLAIMS
    assert memory.get(b"token", 10.0) is None


def test_a_clock_set_back_revives_nothing() -> None:
    """J38: what was once seen to be over is gone."""
    memory = VerifiedTokens()
    memory.put(b"token", CLAIMS, 10.0)
    assert memory.get(b"token", 11.0) is None
    assert memory.get(b"token", 1.0) is None
    assert len(memory) == 0


def test_another_token_is_not_remembered() -> None:
    """One byte more or less is another token."""
    memory = VerifiedTokens()
    memory.put(b"token", CLAIMS, 10.0)
    for other in (b"", b"toke", b"token ", b"Token"):
        assert memory.get(other, 1.0) is None


def test_a_session_is_forgotten_with_all_its_tokens_and_no_others() -> None:
    """Revocation takes the session's tokens out at once."""
    memory = VerifiedTokens()
    other = msgspec.structs.replace(CLAIMS, session_id="ses_2")
    memory.put(b"a", CLAIMS, 10.0)
    memory.put(b"b", CLAIMS, 10.0)
    memory.put(b"c", other, 10.0)
    memory.forget_session("ses_1")
    memory.forget_session("ses_unknown")
    assert [memory.get(token, 1.0) for token in (b"a", b"b", b"c")] == [None, None, other]


def test_the_count_is_bounded_and_the_oldest_goes_first() -> None:
    """A flood of tokens costs a verification each, not memory; the index by session is bounded with it."""
    memory = VerifiedTokens(max_count=2)
    for number in range(5):
        memory.put(b"%d" % number, msgspec.structs.replace(CLAIMS, session_id=f"ses_{number}"), 10.0)
    assert len(memory) == 2
    assert [memory.get(b"%d" % number, 1.0) is not None for number in range(5)] == [False, False, False, True, True]
    assert len(memory._digests_by_session) == 2


def test_putting_a_token_twice_keeps_the_later_answer() -> None:
    """Two requests may verify the same token at once."""
    memory = VerifiedTokens(max_count=1)
    memory.put(b"token", CLAIMS, 5.0)
    memory.put(b"token", CLAIMS, 10.0)
    assert memory.get(b"token", 7.0) is CLAIMS
    memory.forget_session("ses_1")
    assert len(memory) == 0


def test_a_cleared_memory_is_empty() -> None:
    """Keys or settings changed: nothing verified before counts."""
    memory = VerifiedTokens()
    memory.put(b"token", CLAIMS, 10.0)
    memory.clear()
    assert memory.get(b"token", 1.0) is None
    memory.forget_session("ses_1")


def test_the_memory_must_hold_something() -> None:
    """A bound of zero is a mistake, not a way to switch it off."""
    with pytest.raises(ValueError, match="max_count"):
        VerifiedTokens(0)
