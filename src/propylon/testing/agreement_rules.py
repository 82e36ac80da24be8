"""What all nodes agree on: signing keys, settings, and how many failures there were."""

from __future__ import annotations

import msgspec
import pytest

from propylon.core.throttle import Pace
from propylon.ports import Store
from propylon.testing.records import NOW, a_signing_key
from propylon.testing.rules import Rules, heard

# ruff: noqa: S101 - these are tests

PACE = Pace(free=2, forgive_s=100, longest_wait_s=60)


class AgreementRules(Rules):
    """The ports ``SigningKeyStore``, ``SettingStore`` and ``Throttle``."""

    async def test_the_first_key_signs(self, store: Store) -> None:
        """It is kept as it was given, sealed bytes included, and announced."""
        assert await store.signing_keys() == []
        assert await store.publish_key(a_signing_key(), replaces=None)
        assert await store.signing_keys() == [a_signing_key()]
        assert heard(store) == [("keys_changed", "", "")]

    async def test_a_new_key_retires_the_one_it_replaces(self, store: Store) -> None:
        """The old one stays to verify with; oldest first."""
        await store.publish_key(old := a_signing_key("z"), replaces=None)
        await store.publish_key(new := a_signing_key("a", created_at=NOW + 5), replaces="z")
        assert await store.signing_keys() == [msgspec.structs.replace(old, retired_at=NOW + 5), new]

    @pytest.mark.parametrize("replaces", [None, "key-0", "key-b"])
    async def test_a_key_that_replaces_another_than_the_signing_one_is_refused(
        self, store: Store, replaces: str | None
    ) -> None:
        """Somebody else was first: nothing changes and nothing is announced."""
        await store.publish_key(a_signing_key(), replaces=None)
        store.news()
        assert not await store.publish_key(a_signing_key("key-b"), replaces=replaces)
        assert await store.signing_keys() == [a_signing_key()]
        assert heard(store) == []

    async def test_a_key_id_is_used_once(self, store: Store) -> None:
        """A token's key id must never mean two keys."""
        await store.publish_key(a_signing_key(), replaces=None)
        assert not await store.publish_key(a_signing_key(sealed=b"other"), replaces="key-a")
        assert await store.signing_keys() == [a_signing_key()]

    async def test_only_keys_retired_before_are_dropped(self, store: Store) -> None:
        """The exact second stays, and so does the key that signs."""
        await store.publish_key(a_signing_key("a", created_at=NOW - 99), replaces=None)
        await store.publish_key(a_signing_key("b", created_at=NOW), replaces="a")
        store.news()
        assert await store.drop_keys(NOW) == 0
        assert heard(store) == []
        assert await store.drop_keys(NOW + 1) == 1
        assert [key.kid for key in await store.signing_keys()] == ["b"]
        assert heard(store) == [("keys_changed", "", "")]

    async def test_a_setting_that_was_never_written_is_none(self, store: Store) -> None:
        """No default is made up."""
        assert await store.read_setting("mode") is None

    async def test_a_setting_changes_only_from_what_was_expected(self, store: Store) -> None:
        """None means: not there yet; an empty text is there."""
        assert not await store.write_setting("mode", "cookie", expected="")
        assert await store.write_setting("mode", "", expected=None)
        assert not await store.write_setting("mode", "cookie", expected=None)
        assert await store.write_setting("mode", "cookie", expected="")
        assert await store.read_setting("mode") == "cookie"

    async def test_settings_with_similar_names_are_strangers(self, store: Store) -> None:
        """Prefixes and case matter."""
        await store.write_setting("mode", "cookie", expected=None)
        assert await store.read_setting("mod") is None
        assert await store.read_setting("MODE") is None

    async def test_only_a_change_of_a_setting_is_announced(self, store: Store) -> None:
        """A refused one is none."""
        await store.write_setting("mode", "bearer", expected=None)
        await store.write_setting("mode", "hybrid", expected=None)
        assert heard(store) == [("mode_changed", "", "")]

    async def test_free_failures_cost_nothing_and_then_the_wait_doubles(self, store: Store) -> None:
        """The wait is that of ``core.throttle``."""
        waits = []
        for _ in range(5):
            await store.add_failure([("key", PACE)], NOW)
            waits.append(await store.wait_s([("key", PACE)], NOW))
        assert waits == [0, 1, 2, 4, 8]

    async def test_the_longest_wait_of_several_keys_counts(self, store: Store) -> None:
        """Each key has its own pace; no key asks for no wait."""
        strict = Pace(free=0, forgive_s=100, longest_wait_s=60)
        await store.add_failure([("pair", PACE), ("source", strict)], NOW)
        assert await store.wait_s([("pair", PACE), ("source", strict)], NOW) == 2
        assert await store.wait_s([("pair", PACE)], NOW) == 0
        assert await store.wait_s([], NOW) == 0

    async def test_time_forgives_at_the_exact_second(self, store: Store) -> None:
        """After three intervals three failures count no more, and one second earlier one does."""
        patient = Pace(free=0, forgive_s=100, longest_wait_s=1000)
        for _ in range(3):
            await store.add_failure([("key", patient)], NOW)
        await store.add_failure([("key", patient)], NOW + 299)
        assert await store.wait_s([("key", patient)], NOW + 299) == 4
        await store.forget_failures("key")
        for _ in range(3):
            await store.add_failure([("key", patient)], NOW)
        await store.add_failure([("key", patient)], NOW + 300)
        assert await store.wait_s([("key", patient)], NOW + 300) == 2

    async def test_one_key_starts_afresh_and_its_neighbours_do_not(self, store: Store) -> None:
        """Keys that begin alike, or differ in case, count apart."""
        strict = Pace(free=0, forgive_s=100, longest_wait_s=60)
        for key in ("a", "ab", "A", "a%"):
            await store.add_failure([(key, strict)], NOW)
        await store.forget_failures("a")
        await store.forget_failures("unknown")
        assert [await store.wait_s([(key, strict)], NOW) for key in ("a", "ab", "A", "a%")] == [0, 2, 2, 2]
