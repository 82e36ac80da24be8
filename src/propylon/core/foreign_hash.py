"""Password hashes of other systems: read, bounded, and compared with what was typed.

They are here to be replaced: at the first right password a hash of ours takes their place. All are computed over
the UTF-8 of the password as it was typed, since none of these systems normalises it.

Whoever writes an import file chooses what every sign-in with its hashes will cost, so the cost is read before
anything is computed. Nothing is home-made: OpenSSL computes through `hashlib`, and `bcrypt` does what its name says.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import bcrypt
import msgspec

from propylon.core.discreet import Discreet
from propylon.errors import Unusable

#: The longest stored hash that is looked at.
MAX_STORED_CHARS: Final = 512

#: About a second on one core. Django 5.2 makes 1,000,000, and some 20 % more with every version.
MAX_PBKDF2_ITERATIONS: Final = 3_000_000
#: PKCS #5's recommendation of the year 2000 (RFC 2898 section 4.2); nobody who chose a number chose a lower one.
MIN_PBKDF2_ITERATIONS: Final = 1_000

#: 128 * N * r (RFC 7914 section 5): twice the most that OWASP advises. Times p is the work.
MAX_SCRYPT_BYTES: Final = 256 * 1024 * 1024
MAX_SCRYPT_WORK_BYTES: Final = 512 * 1024 * 1024

#: Two to this power; Zitadel's default, the highest that we know of.
MAX_BCRYPT_COST: Final = 14
MIN_BCRYPT_COST: Final = 4
#: What bcrypt reads of a password; nothing says whether the rest was typed right.
BCRYPT_BYTES: Final = 72

MIN_SALT_BYTES: Final = 8
#: A shorter one would match too many passwords.
MIN_TAG_BYTES: Final = 16

#: From a password and the salt as spelled to what bcrypt is given instead.
Shorten = Callable[[bytes, str], bytes]

_BCRYPT_ALPHABET: Final = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Pbkdf2(Discreet, msgspec.Struct, frozen=True):
    """RFC 8018 section 5.2."""

    digest: str
    iterations: int
    salt: bytes
    tag: bytes

    def matches(self, typed: bytes) -> bool:
        """Say whether this is the hash of a password."""
        computed = hashlib.pbkdf2_hmac(self.digest, typed, self.salt, self.iterations, len(self.tag))
        return hmac.compare_digest(computed, self.tag)

    def reads_all_of(self, typed: bytes) -> bool:  # noqa: ARG002 - others do not
        """Say whether the whole password was compared."""
        return True


class Scrypt(Discreet, msgspec.Struct, frozen=True):
    """RFC 7914."""

    n: int
    r: int
    p: int
    salt: bytes
    tag: bytes

    def matches(self, typed: bytes) -> bool:
        """Say whether this is the hash of a password."""
        computed = hashlib.scrypt(
            typed, salt=self.salt, n=self.n, r=self.r, p=self.p, maxmem=2 * MAX_SCRYPT_BYTES, dklen=len(self.tag)
        )
        return hmac.compare_digest(computed, self.tag)

    def reads_all_of(self, typed: bytes) -> bool:  # noqa: ARG002 - others do not
        """Say whether the whole password was compared."""
        return True


class Bcrypt(Discreet, msgspec.Struct, frozen=True):
    """bcrypt, over the password or over a digest of it that has no more than bcrypt reads."""

    cost: str
    salt: str
    tag: bytes
    shorten: Shorten | None = None

    def matches(self, typed: bytes) -> bool:
        """Say whether this is the hash of a password, of its first 72 bytes as in the system that made it."""
        key = typed if self.shorten is None else self.shorten(typed, self.salt)
        # $2a$, $2b$ and $2y$ name bugs that were fixed; what is computed is one and the same.
        computed = bcrypt.hashpw(key[:BCRYPT_BYTES], f"$2b${self.cost}${self.salt}".encode())
        return hmac.compare_digest(computed[-len(self.tag) :], self.tag)

    def reads_all_of(self, typed: bytes) -> bool:
        """Say whether the whole password was compared."""
        return self.shorten is not None or len(typed) <= BCRYPT_BYTES


ForeignHash = Pbkdf2 | Scrypt | Bcrypt


def read(stored: str) -> ForeignHash:
    """Return what a stored hash says, without computing anything.

    Raises:
        Unusable: ``hash_too_dear``, ``hash_weak``, ``hash_unsupported`` or ``hash_unreadable``.
    """
    if len(stored) > MAX_STORED_CHARS or not stored.isascii():
        raise Unusable("hash_unreadable")
    for pattern, made_of in _READABLE:
        if found := pattern.fullmatch(stored):
            return made_of(found.groupdict())
    if any(pattern.fullmatch(stored) for pattern in _WEAK):
        raise Unusable("hash_weak")
    if stored.startswith(_UNSUPPORTED):
        raise Unusable("hash_unsupported")
    raise Unusable("hash_unreadable")


Said = Mapping[str, str | None]


def _pbkdf2(said: Said) -> Pbkdf2:
    iterations = _number(said, "iterations")
    if iterations > MAX_PBKDF2_ITERATIONS:
        raise Unusable("hash_too_dear")
    if iterations < MIN_PBKDF2_ITERATIONS:
        raise Unusable("hash_weak")
    return Pbkdf2(said["digest"] or "sha1", iterations, *_salt_and_tag(said))


def _scrypt(said: Said) -> Scrypt:
    n = 1 << _number(said, "log_n") if "log_n" in said else _number(said, "n")
    r, p = _number(said, "r"), _number(said, "p")
    if 128 * n * r > MAX_SCRYPT_BYTES or 128 * n * r * p > MAX_SCRYPT_WORK_BYTES:
        raise Unusable("hash_too_dear")
    if n < 2 or n & (n - 1) or not r or not p:  # RFC 7914 section 2
        raise Unusable("hash_unreadable")
    return Scrypt(n, r, p, *_salt_and_tag(said))


def _bcrypt(said: Said, shorten: Shorten | None = None) -> Bcrypt:
    cost, salt, tag = _number(said, "cost"), said["salt"] or "", said["tag"] or ""
    if cost > MAX_BCRYPT_COST:
        raise Unusable("hash_too_dear")
    if cost < MIN_BCRYPT_COST:
        raise Unusable("hash_unreadable")
    # Four bits of the last character are padding. Some libraries filled it with chance, and strict ones refuse that.
    last = _BCRYPT_ALPHABET[_BCRYPT_ALPHABET.index(salt[-1]) & 0x30]
    return Bcrypt(f"{cost:02}", salt[:-1] + last, tag.encode(), shorten)


def _number(said: Said, name: str) -> int:
    return int(said[name] or "")


def _salt_and_tag(said: Said) -> tuple[bytes, bytes]:
    salt, tag = _bytes(said, "salt"), _bytes(said, "tag")
    if len(salt) < MIN_SALT_BYTES or len(tag) < MIN_TAG_BYTES:
        raise Unusable("hash_weak")
    return salt, tag


def _bytes(said: Said, name: str) -> bytes:
    """Return bytes that are spelled in one of three ways; the pattern says in which."""
    if text := said.get(f"{name}_base64"):
        bare = text.replace(".", "+").rstrip("=")  # the dot is passlib's
        try:
            return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
        except binascii.Error:
            raise Unusable("hash_unreadable") from None
    if text := said.get(f"{name}_hex"):
        return binascii.unhexlify(text)
    return (said.get(f"{name}_text") or "").encode()


def _hex_of_sha256(typed: bytes, salt: str) -> bytes:  # noqa: ARG001 - passlib's later form takes it
    """Shorten as Django does (``BCryptSHA256PasswordHasher``)."""
    return hashlib.sha256(typed).hexdigest().encode()


def _base64_of_sha256(typed: bytes, salt: str) -> bytes:  # noqa: ARG001 - likewise
    """Shorten as passlib's bcrypt_sha256 did at first."""
    return base64.b64encode(hashlib.sha256(typed).digest())


def _base64_of_hmac(typed: bytes, salt: str) -> bytes:
    """Shorten as passlib's bcrypt_sha256 does since 1.7.3: keyed with the salt, as it was spelled."""
    return base64.b64encode(hmac.digest(salt.encode(), typed, "sha256"))


def _salted(*spellings: str) -> str:
    """Return the pattern of what all but bcrypt end with."""
    salt, tag = (_SPELLED[spelling] for spelling in spellings)
    return rf"(?P<salt_{spellings[0]}>{salt})\$(?P<tag_{spellings[1]}>{tag})"


_SPELLED: Final = {"text": "[!-#%-~]{0,120}", "base64": "[A-Za-z0-9+./]{1,120}={0,2}", "hex": "(?:[0-9a-f]{2}){1,64}"}
_N, _COST = "[0-9]{1,9}", "[0-9]{1,2}"
_BCRYPT = r"(?P<salt>[./A-Za-z0-9]{22})\$?(?P<tag>[./A-Za-z0-9]{31})"

_READABLE: Final[Sequence[tuple[re.Pattern[str], Callable[[Said], ForeignHash]]]] = tuple(
    (re.compile(pattern), made_of)
    for pattern, made_of in (
        # Django, and passlib's django_*
        (rf"pbkdf2_(?P<digest>sha1|sha256)\$(?P<iterations>{_N})\${_salted('text', 'base64')}", _pbkdf2),
        (rf"scrypt\$(?P<n>{_N})\$(?P<salt_text>[!-#%-~]*)\$(?P<r>{_N})\$(?P<p>{_N})\$(?P<tag_base64>.*)", _scrypt),
        (rf"bcrypt_sha256\$\$2[aby]\$(?P<cost>{_COST})\${_BCRYPT}", partial(_bcrypt, shorten=_hex_of_sha256)),
        # bcrypt alone, as Django and as everybody else spells it
        (rf"(?:bcrypt\$)?\$2[aby]\$(?P<cost>{_COST})\${_BCRYPT}", _bcrypt),
        # passlib
        (rf"\$pbkdf2(?:-(?P<digest>sha256|sha512))?\$(?P<iterations>{_N})\${_salted('base64', 'base64')}", _pbkdf2),
        (rf"\$scrypt\$ln=(?P<log_n>{_COST}),r=(?P<r>{_N}),p=(?P<p>{_N})\${_salted('base64', 'base64')}", _scrypt),
        (rf"\$bcrypt-sha256\$v=2,t=2b,r=(?P<cost>{_COST})\${_BCRYPT}", partial(_bcrypt, shorten=_base64_of_hmac)),
        (rf"\$bcrypt-sha256\$2[ab],(?P<cost>{_COST})\${_BCRYPT}", partial(_bcrypt, shorten=_base64_of_sha256)),
        # Werkzeug, which is Flask's
        (rf"pbkdf2:(?P<digest>sha1|sha256|sha512):(?P<iterations>{_N})\${_salted('text', 'hex')}", _pbkdf2),
        (rf"scrypt:(?P<n>{_N}):(?P<r>{_N}):(?P<p>{_N})\${_salted('text', 'hex')}", _scrypt),
    )
)

# One step of a fast function: a list of these is a list of passwords.
_WEAK: Final = tuple(
    re.compile(pattern)
    for pattern in (
        "(?:[0-9A-Fa-f]{8}){2,16}",  # a bare digest: MD5, SHA-1, SHA-2, NTLM
        r"\*[0-9A-F]{40}",  # MySQL
        r"(?:md5|sha1|sha256|unsalted_md5|unsalted_sha1|crypt|hex_md5|hex_sha1)\$.*",  # Django's old ones
        r"(?:md5|sha1|sha224|sha256|sha384|sha512|plain)(?::\d+)?\$.*",  # Werkzeug's
        r"\{(?:S?MD5|S?SHA\d*|CRYPT|CLEARTEXT)\}.*",  # LDAP (RFC 2307)
        r"\$(?:1|apr1|3|H|P|LM|NT)\$.*",
        r"[./A-Za-z0-9]{13}",  # DES
    )
)

# Sound, and nothing here computes them: sha256_crypt, sha512_crypt, yescrypt, scrypt of crypt(3), sha1_crypt.
_UNSUPPORTED: Final = ("$5$", "$6$", "$y$", "$7$", "$sha1$", "$2x$", "$2$", "grub.pbkdf2", "$gy$")
