"""The server's keys: the ring, derived secrets, their spelling, sealed values."""

from __future__ import annotations

import base64
import hashlib
import hmac
import string
from collections import Counter

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from propylon.core import secret
from propylon.core.secret import (
    KEY_BYTES,
    MAX_CREDENTIAL_BYTES,
    MAX_GENERATION,
    KeyRing,
    Presented,
    ServerKey,
    Unsealable,
)
from propylon.errors import SetupError

KEY = ServerKey("k1", bytes(range(32)))
OTHER = ServerKey("k1", bytes(range(1, 33)))
SALT = b"s" * 32
SID = secret.new_session_id(bytes(range(16)), "user-1")
HEX = bytes(range(32)).hex()
B64 = base64.urlsafe_b64encode(bytes(range(32))).decode()
ALPHABET = string.ascii_letters + string.digits + "-_"


class TestKeyRing:
    """The ring as it stands in a file or in the environment."""

    @pytest.mark.parametrize("spelled", [HEX, HEX.upper(), B64, B64.rstrip("=")])
    def test_a_key_is_read_from_hex_or_base64url(self, spelled: str) -> None:
        """``openssl rand -hex 32`` and Python's ``token_urlsafe`` both make one."""
        assert KeyRing.parse(f"k1 {spelled}\n").current.value == KEY.value

    def test_the_first_key_is_current_and_the_others_are_found(self) -> None:
        """Comments, blank lines and carriage returns do no harm; commas separate as lines do."""
        other = bytes(range(40, 72)).hex()
        for text in (f"# keys, by age\r\n\r\nnew {HEX}\r\n\told\t{other} \n", f"new {HEX},old {other},"):
            ring = KeyRing.parse(text)
            assert ring.current.id == "new"
            assert [key.id for key in ring.keys] == ["new", "old"]
            assert ring.find("old") == ServerKey("old", bytes.fromhex(other))
            assert ring.find("gone") is None

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "# only a comment",
            " , ,\n",
            HEX,
            f"k1={HEX}",
            f"k1 {HEX} extra",
            f"k1 {HEX[:-2]}",
            f"k1 {HEX}00",
            f"k1 {B64[:-3]}",
            f"k1 {B64[:-2]}9",  # trailing bits: not the one spelling of its bytes
            f"k1 {B64.replace('A', '!')}",
            f"k1 {HEX[:-1]}g",
            f"k1 {'00' * 32}",
            f"k1 {'deadbeef' * 8}",
            "k1 changeme",
            f"bad:id {HEX}",
            f"{'i' * 33} {HEX}",
            f"k\u00e91 {HEX}",
            f"k1 {HEX}\nk1 {bytes(range(9, 41)).hex()}",
            "\n".join(f"k{number} {HEX}" for number in range(33)),
            f"k1 {HEX}\n" + "#" * 9000,
            f"k1 \ud800{HEX}",
        ],
        ids=lambda text: ascii(text[:30]),
    )
    def test_a_wrong_ring_stops_the_start_and_shows_no_key(self, text: str) -> None:
        """The sentence says what is wrong; it will be read over shoulders and pasted into tickets."""
        with pytest.raises(SetupError, match="ring") as refused:
            KeyRing.parse(text)
        shown = f"{refused.value} {refused.value!r} {refused.value.__cause__}"
        assert "\n" not in str(refused.value)
        assert not any(part[:8] in shown for part in text.split() if len(part) > 32)

    def test_no_repr_shows_a_key(self) -> None:
        """Neither Python's nor rich's, which draws its own in tracebacks."""
        ring = KeyRing((KEY,))
        presented = Presented(SID, 3, KEY.value)
        for shown in (repr(KEY), repr(ring), repr(presented), str(ring), repr(KEY.__rich_repr__())):
            assert repr(KEY.value)[2:-1] not in shown
            assert "***" in shown
        assert repr(KEY) == "ServerKey(id='k1', value='***')"


class TestDerivedSecrets:
    """Secrets that nobody stores."""

    def test_a_secret_is_the_hmac_that_the_design_names(self) -> None:
        """Written out here by hand: changing it would end every session there is."""
        message = b"propylon derived secret v1\0" + b"\x20\x06" + SALT + b"cookie" + (7).to_bytes(8, "big")
        assert secret.derive(KEY, SALT, "cookie", 7) == hmac.new(KEY.value, message, hashlib.sha256).digest()

    @pytest.mark.parametrize(
        "other",
        [
            secret.derive(OTHER, SALT, "cookie", 7),
            secret.derive(KEY, b"t" * 32, "cookie", 7),
            secret.derive(KEY, SALT, "refresh", 7),
            secret.derive(KEY, SALT, "cookie", 8),
            secret.derive(KEY, SALT[:-1], "scookie", 7),
            secret.derive(KEY, SALT + b"c", "ookie", 7),
        ],
    )
    def test_another_key_salt_kind_or_generation_makes_another_secret(self, other: bytes) -> None:
        """And the salt and the kind cannot trade bytes."""
        assert secret.derive(KEY, SALT, "cookie", 7) != other

    def test_only_the_derived_secret_matches(self) -> None:
        """The right one does; one bit, one generation, one kind or a shorter one off does not."""
        value = secret.derive(KEY, SALT, "cookie", 7)
        assert secret.matches(KEY, SALT, "cookie", Presented(SID, 7, value))
        flipped = bytes((value[0] ^ 1,)) + value[1:]
        for generation, kind, wrong in [
            (7, "cookie", flipped),
            (8, "cookie", value),
            (7, "refresh", value),
            (7, "cookie", value[:-1]),
            (7, "cookie", b""),
        ]:
            assert not secret.matches(KEY, SALT, kind, Presented(SID, generation, wrong))
        assert not secret.matches(OTHER, SALT, "cookie", Presented(SID, 7, value))

    def test_a_fingerprint_tells_keys_apart_and_gives_nothing_away(self) -> None:
        """It goes into the store in clear: it is no prefix of the key nor of anything derived from it."""
        print_ = secret.fingerprint(KEY)
        assert print_ == secret.fingerprint(ServerKey("renamed", KEY.value)) != secret.fingerprint(OTHER)
        assert len(print_) == 22
        assert KEY.value.hex() not in base64.urlsafe_b64decode(print_ + "==").hex()


class TestSpelling:
    """The opaque credential, ``sid.generation.secret``."""

    @given(
        st.binary(min_size=16, max_size=16),
        st.integers(0, MAX_GENERATION),
        st.binary(min_size=32, max_size=32),
    )
    def test_what_is_spelled_is_parsed(self, random: bytes, generation: int, value: bytes) -> None:
        """Nothing is lost on the way, and the bound of a cookie value holds."""
        sid = secret.new_session_id(random, "user-1")
        text = secret.spell(sid, generation, value)
        assert secret.parse(text) == Presented(sid, generation, value)
        assert len(text) <= MAX_CREDENTIAL_BYTES

    @given(st.text(st.characters(), max_size=120) | st.text(ALPHABET + ".0123456789", min_size=60, max_size=80))
    def test_whatever_is_parsed_is_spelled_the_same_again(self, text: str) -> None:
        """One spelling for each credential, and no text makes the parser fail."""
        parsed = secret.parse(text)
        assert parsed is None or secret.spell(parsed.session_id, parsed.generation, parsed.secret) == text

    @given(st.integers(0, 67), st.sampled_from(ALPHABET + ".=+/ \n\0"))
    def test_a_credential_with_one_character_changed_is_another_or_none(self, place: int, character: str) -> None:
        """No second spelling of the same credential is accepted."""
        original = secret.spell(SID, 7, KEY.value)
        changed = original[:place] + character + original[place + 1 :]
        assert (secret.parse(changed) == secret.parse(original)) is (changed == original)

    def test_trailing_bits_must_be_zero(self) -> None:
        """Base64url of 16 and 32 bytes has spare bits at the end: 15 and 3 other spellings, all refused."""
        value = secret.spell(SID, 7, KEY.value).rpartition(".")[2]
        ends = [end for end in ALPHABET if secret.parse(f"{SID}.7.{value[:-1]}{end}")]
        sid_ends = [end for end in ALPHABET if secret.parse(f"{SID[:-1]}{end}.7.{value}")]
        assert (len(ends), len(sid_ends)) == (16, 4)

    @pytest.mark.parametrize("generation", ["", "00", "01", "-1", "+1", "1 ", "1_0", "\u0661", "2147483648", "9" * 20])
    def test_a_generation_is_spelled_in_one_way(self, generation: str) -> None:
        """Canonical decimal below 2**31."""
        value = secret.spell(SID, 7, KEY.value).rpartition(".")[2]
        assert secret.parse(f"{SID}.2147483647.{value}") is not None
        assert secret.parse(f"{SID}.{generation}.{value}") is None

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "..",
            "." * 100,
            "x" * 1_000_000,
            f"{SID}.7",
            f"{SID}.7.{'A' * 42}",
            f"{SID}.7.{'A' * 44}",
            f"{SID}.7.{'A' * 43}=",
            f"{SID}.7.{'A' * 43}.",
            f"{SID}.7.{'A' * 43}\n",
            f" {SID}.7.{'A' * 43}",
            f"{SID[:-1]}.7.{'A' * 43}",
            f"{SID}A.7.{'A' * 43}",
            f"{SID}.7.{'A' * 42}\u00e9",
            f"{SID}.7.{'A' * 42}\ud800",
            "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1In0.c2ln",
        ],
        ids=lambda text: ascii(text[:30]),
    )
    def test_anything_else_is_no_credential(self, text: str) -> None:
        """Missing parts, other lengths, padding, white space, a JWT: all None."""
        assert secret.parse(text) is None

    @pytest.mark.parametrize("size", [0, 15, 17])
    def test_a_session_id_has_128_bits(self, size: int) -> None:
        """Fewer would be guessable; the caller's mistake shows at once."""
        assert len(SID) == 22
        with pytest.raises(ValueError, match="16 random bytes"):
            secret.new_session_id(bytes(size), "user-1")

    @given(st.binary(min_size=16, max_size=16), st.text())
    def test_a_session_id_carries_the_shard_of_its_user_and_124_random_bits(self, random: bytes, user_id: str) -> None:
        """Whoever has the id knows where the session is kept; every other bit is as it was given."""
        raw = base64.urlsafe_b64decode(secret.new_session_id(random, user_id) + "==")
        assert raw[0] >> 4 == secret.shard_of_user(user_id)
        assert (raw[0] & 0x0F, raw[1:]) == (random[0] & 0x0F, random[1:])

    def test_users_are_spread_over_all_shards(self) -> None:
        """Evenly enough that no server is left without work."""
        shards = Counter(secret.shard_of_user(f"user-{number}") for number in range(1600))
        assert len(shards) == secret.SHARDS
        assert max(shards.values()) < 200


class TestSealing:
    """AES-256-GCM around the private parts of signing keys."""

    NONCE = bytes(12)

    def test_what_is_sealed_opens_with_the_same_key_and_context_alone(self) -> None:
        """The context binds a box to its place: it cannot be moved to another key's row."""
        sealed = secret.seal(KEY, b"private", context=b"kid-1", nonce=self.NONCE)
        assert b"private" not in sealed
        assert secret.unseal(KEY, sealed, context=b"kid-1") == b"private"
        for key, context in [(OTHER, b"kid-1"), (KEY, b"kid-2"), (KEY, b"")]:
            with pytest.raises(Unsealable):
                secret.unseal(key, sealed, context=context)

    @given(st.data())
    def test_no_altered_box_opens(self, data: st.DataObject) -> None:
        """One bit anywhere, or any byte missing, and nothing comes out."""
        sealed = secret.seal(KEY, b"private", context=b"", nonce=self.NONCE)
        place = data.draw(st.integers(0, len(sealed) - 1))
        flipped = sealed[:place] + bytes((sealed[place] ^ 1 << data.draw(st.integers(0, 7)),)) + sealed[place + 1 :]
        for altered in (flipped, sealed[:place], sealed + b"\0"):
            with pytest.raises(Unsealable):
                secret.unseal(KEY, altered, context=b"")

    @given(st.binary(max_size=60))
    def test_no_bytes_raise_anything_but_unsealable(self, sealed: bytes) -> None:
        """What stands in the store may be anything."""
        with pytest.raises(Unsealable):
            secret.unseal(KEY, sealed, context=b"")

    def test_the_key_itself_seals_nothing(self) -> None:
        """The cipher's key is derived for its purpose, so it is no HMAC key of another."""
        sealed = secret.seal(KEY, b"private", context=b"", nonce=self.NONCE)
        assert sealed != b"\x01" + self.NONCE + AESGCM(KEY.value).encrypt(self.NONCE, b"private", b"")
        assert len(KEY.value) == KEY_BYTES

    @pytest.mark.parametrize("size", [0, 11, 13, 16])
    def test_a_nonce_of_another_length_is_refused(self, size: int) -> None:
        """96 bits, as NIST SP 800-38D has them."""
        with pytest.raises(ValueError, match="12 bytes"):
            secret.seal(KEY, b"private", context=b"", nonce=bytes(size))
