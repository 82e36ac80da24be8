"""Principals that were verified lately: remembered within bounds, forgotten at once."""

from __future__ import annotations

import gc
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from propylon.core.principal import Principal
from propylon.core.remembered import RememberedPrincipals

MOST = 4


def caller(session_id: str = "s1", user_id: str = "u1") -> Principal:
    """Return somebody."""
    return Principal(
        user_id=user_id,
        session_id=session_id,
        credential="cookie",
        roles=frozenset(),
        permissions=frozenset(),
        scopes=frozenset(),
        auth_time=0,
        expires_at=2**40,
    )


@pytest.mark.parametrize(("monotonic", "found"), [(0.0, True), (9.999, True), (10.0, False), (10.001, False)])
def test_the_deadline_is_exact(monotonic: float, *, found: bool) -> None:
    """From that moment on the credential is verified in full."""
    remembered = RememberedPrincipals()
    remembered.put("a", caller(), until=10.0)
    assert (remembered.get("a", monotonic) is not None) is found


@pytest.mark.parametrize("other", ["", "A", "a ", "aa", "\xff"])
def test_only_the_exact_credential_is_known(other: str) -> None:
    """Nothing is trimmed or folded."""
    remembered = RememberedPrincipals()
    remembered.put("a", caller(), until=10.0)
    assert remembered.get(other, 0.0) is None


def test_the_oldest_goes_when_there_is_no_room() -> None:
    """A flood of distinct credentials takes bounded memory."""
    remembered = RememberedPrincipals(most=3)
    for number in range(1_000):
        remembered.put(str(number), caller(f"s{number}", f"u{number}"), until=10.0)
    assert len(remembered) == 3
    assert [remembered.get(str(number), 0.0) is not None for number in range(996, 1_000)] == [False, True, True, True]
    assert (len(remembered._of_session), len(remembered._sessions_of_user)) == (3, 3)


def test_what_was_verified_again_is_not_the_oldest() -> None:
    """Whoever calls all the time is not displaced by those who came once."""
    remembered = RememberedPrincipals(most=2)
    for credential in ("regular", "once", "regular", "stranger"):
        remembered.put(credential, caller(), until=10.0)
    assert [remembered.get(credential, 0.0) is not None for credential in ("regular", "once")] == [True, False]


def test_a_session_is_forgotten_with_all_its_credentials_and_no_other() -> None:
    """Its cookie and its tokens."""
    remembered = RememberedPrincipals()
    for credential, session_id in (("cookie", "s1"), ("token", "s1"), ("other", "s2")):
        remembered.put(credential, caller(session_id), until=10.0)
    remembered.forget_session("s1")
    assert [remembered.get(credential, 0.0) is not None for credential in ("cookie", "token", "other")] == [
        False, False, True
    ]  # fmt: skip


def test_a_user_is_forgotten_with_all_sessions_and_nobody_else() -> None:
    """A changed role or a new password concerns every device of one user."""
    remembered = RememberedPrincipals()
    for credential, session_id, user_id in (("a", "s1", "u1"), ("b", "s2", "u1"), ("c", "s3", "u2")):
        remembered.put(credential, caller(session_id, user_id), until=10.0)
    remembered.forget_user("u1")
    assert [remembered.get(credential, 0.0) is not None for credential in "abc"] == [False, False, True]


@pytest.mark.parametrize("unknown", ["", "s1", "u1"])
def test_forgetting_a_stranger_is_harmless(unknown: str) -> None:
    """News of other nodes' sessions come all the time."""
    remembered = RememberedPrincipals()
    remembered.forget_session(unknown)
    remembered.forget_user(unknown)
    remembered.forget_all()
    remembered.forget_stale(0.0)
    assert len(remembered) == 0


def test_a_credential_that_moves_to_another_session_leaves_nothing_behind() -> None:
    """It never should; the memory stays sound all the same."""
    remembered = RememberedPrincipals()
    remembered.put("a", caller("s1", "u1"), until=10.0)
    remembered.put("a", caller("s2", "u2"), until=10.0)
    remembered.forget_session("s1")
    remembered.forget_user("u1")
    assert remembered.get("a", 0.0) == caller("s2", "u2")
    remembered.forget_user("u2")
    assert len(remembered) == len(remembered._of_session) == len(remembered._sessions_of_user) == 0


def test_no_credential_is_kept_in_clear() -> None:
    """Whoever reads this memory finds digests, and nothing to sign in with."""
    remembered = RememberedPrincipals()
    secret = "s.0.correct-horse"
    remembered.put(secret, caller(), until=10.0)
    held: list[object] = [vars(remembered)]
    seen: set[int] = set()
    while held:
        thing = held.pop()
        if id(thing) in seen or isinstance(thing, type):
            continue
        seen.add(id(thing))
        assert thing != secret
        assert not isinstance(thing, bytes) or secret.encode() not in thing
        if isinstance(thing, (dict, set, tuple, list, Principal)):
            held.extend(gc.get_referents(thing))
    assert len(seen) > 10


CREDENTIALS = {f"s{session} {number}": f"s{session}" for session in range(4) for number in range(2)}
USER_OF = {"s0": "u0", "s1": "u0", "s2": "u1", "s3": "u1"}


class Memory(RuleBasedStateMachine):
    """The memory beside a plain list of what was put and not forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.real = RememberedPrincipals(most=MOST)
        self.model: list[tuple[str, Principal, float]] = []
        self.now = 0.0
        self.put_count = 0

    def keep(self, wanted: set[str]) -> None:
        """Leave in the model what is of these sessions."""
        self.model = [entry for entry in self.model if CREDENTIALS[entry[0]] in wanted]

    @rule(credential=st.sampled_from(sorted(CREDENTIALS)), life=st.integers(0, 5))
    def put(self, credential: str, life: int) -> None:
        """Remember; the one put longest ago leaves when there is no room."""
        session_id = CREDENTIALS[credential]
        self.put_count += 1
        principal = replace(caller(session_id, USER_OF[session_id]), auth_time=self.put_count)
        self.real.put(credential, principal, self.now + life)
        others = [entry for entry in self.model if entry[0] != credential]
        self.model = [*others, (credential, principal, self.now + life)][-MOST:]

    @rule(session_id=st.sampled_from([*USER_OF, "unknown"]))
    def forget_session(self, session_id: str) -> None:
        """Forget one session."""
        self.real.forget_session(session_id)
        self.keep(set(USER_OF) - {session_id})

    @rule(user_id=st.sampled_from(["u0", "u1", "unknown"]))
    def forget_user(self, user_id: str) -> None:
        """Forget one user."""
        self.real.forget_user(user_id)
        self.keep({session_id for session_id, of in USER_OF.items() if of != user_id})

    @precondition(lambda self: len(self.model) > 2)
    @rule()
    def forget_all(self) -> None:
        """Forget everything."""
        self.real.forget_all()
        self.keep(set())

    @rule()
    def forget_stale(self) -> None:
        """Drop what is over."""
        self.real.forget_stale(self.now)
        self.model = [entry for entry in self.model if entry[2] > self.now]

    @rule(seconds=st.integers(1, 3))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.now += seconds

    @invariant()
    def it_answers_as_the_list_does(self) -> None:
        """Found exactly when put, not forgotten, and not over; the indexes hold nothing else."""
        found = {credential: self.real.get(credential, self.now) for credential in CREDENTIALS}
        alive = {credential: principal for credential, principal, until in self.model if self.now < until}
        assert {credential: principal for credential, principal in found.items() if principal} == alive
        assert len(self.real) == len(self.model)
        sessions = {CREDENTIALS[credential] for credential, _, _ in self.model}
        assert set(self.real._of_session) == sessions
        assert set(self.real._sessions_of_user) == {USER_OF[session_id] for session_id in sessions}


TestMemory = Memory.TestCase
TestMemory.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
