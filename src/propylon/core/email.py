"""E-mail addresses: one canonical form for sign-up, sign-in and every look-up.

The canonical form is the whole address in NFKC and case-folded, its domain in IDNA's ASCII form. Two
spellings with one canonical form are one account, never a second one, and mail goes to the address as its
owner wrote it, never to the one that somebody typed into a form (the class of CVE-2019-19844).

RFC 5321 section 2.4 lets a host tell ``Alice@`` from ``alice@``; hardly one does, and people do not. Dots and
``+tags`` are left alone: what they mean is the business of the mail host.
"""

from __future__ import annotations

import re
import unicodedata

import idna
from email_validator import validate_email

from propylon.errors import RuleRefused

#: RFC 5321 4.5.3.1.3: a path is at most 256 octets, and two of them are its angle brackets.
MAX_EMAIL_BYTES = 254

#: What everything that cannot be an address canonicalises to. No account has it: `checked` refuses it.
NO_ADDRESS = "\ufffd"

#: Folding settles after one or two rounds; an input that does not is nobody's address.
MAX_ROUNDS = 4

# CR and LF would reach mail headers, NUL PostgreSQL, which cannot hold it; surrogates cannot be UTF-8.
_UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff\ufffd]")

# Reserved by RFC 6761 and RFC 6762, and still what people use at home, in an office network and in tests.
_INTERNAL_NAMES = frozenset({"localhost", "local", "test"})


def canonical(address: str) -> str:
    """Fold an address to the one form under which accounts are kept and looked up.

    Total and idempotent: it takes any text, raises nothing, and its own results stay as they are. What cannot
    be an address (too long, control characters, lone surrogates) becomes `NO_ADDRESS`. It does not check the
    syntax: `checked` does, at sign-up.
    """
    for _ in range(MAX_ROUNDS):
        if _too_long(address) or _UNSAFE.search(address):
            return NO_ADDRESS
        folded = _fold_address(address)
        if folded == address:
            return folded
        address = folded
    return NO_ADDRESS


def checked(address: str) -> tuple[str, str]:
    """Return an address as written, trimmed, and its canonical form.

    The canonical form has to be an address too: a full-width @ in the local part turns into a second @.

    Raises:
        RuleRefused: ``fields_refused``, the field ``email`` with ``email_invalid``.
    """
    if len(address) <= 4 * MAX_EMAIL_BYTES:  # bound the trimming as well
        written = address.strip(" \t")
        folded = canonical(written)
        if folded != NO_ADDRESS and _well_formed(written) and _well_formed(folded):
            return written, folded
    raise RuleRefused("fields_refused", errors=(("email", "email_invalid", {}),))


def _too_long(address: str) -> bool:
    return len(address) > MAX_EMAIL_BYTES or len(address.encode("utf-8", errors="surrogatepass")) > MAX_EMAIL_BYTES


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _fold_address(address: str) -> str:
    local, at, domain = _fold(address).strip(" \t").rpartition("@")
    return f"{local}{at}{_ascii_domain(domain)}"


def _ascii_domain(domain: str) -> str:
    """Spell a folded domain in ASCII; one that IDNA does not know stays as it is.

    Punycode is opened first, so that both spellings of a domain are folded alike.
    """
    if domain.isascii() and "xn--" not in domain:
        return domain
    try:
        return idna.encode(_fold(idna.decode(domain)), uts46=True).decode("ascii")
    except UnicodeError:  # idna.IDNAError is one
        return domain


def _well_formed(address: str) -> bool:
    last_label = address.rpartition("@")[2].rpartition(".")[2]
    if last_label.casefold() in _INTERNAL_NAMES:
        # email-validator refuses reserved names whatever it is told; their syntax is that of any other name.
        address = f"{address[: -len(last_label)]}example"
    try:
        validate_email(address, check_deliverability=False, globally_deliverable=False)
    except ValueError:  # EmailNotValidError and UnicodeError both are
        return False
    return True
