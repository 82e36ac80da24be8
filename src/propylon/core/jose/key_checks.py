"""Is a public key what it claims to be, and strong enough? Asked once, when it is loaded.

Every function answers with the refusal to raise, or None when there is no fault.
"""

from __future__ import annotations

from propylon.core.jose.refusals import KeyRefused

MIN_RSA_BITS = 2048  # RFC 7518 section 3.3
MAX_RSA_BITS = 8192  # verification takes time by the square of it: an 8192-bit key already costs 16 times as much
MIN_RSA_EXPONENT = 65537  # FIPS 186-5 A.1.1; 1 verifies anything, 3 has a long history of forged padding
MAX_RSA_EXPONENT = 2**32

# CVE-2017-15361 (ROCA): primes p = k * M + (65537^a mod M). So the modulus is a power of 65537 modulo every
# small prime, which a sound modulus is with a chance of about 2^-27.
_ROCA_PRIMES = (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
_ROCA_RESIDUES = tuple((p, frozenset(pow(65537, a, p) for a in range(p - 1))) for p in _ROCA_PRIMES)

_P25519 = 2**255 - 19
_D25519 = (-121665 * pow(121666, -1, _P25519)) % _P25519
# The y of the points of order 1, 2, 4 and 8: one signature by such a key holds for many messages.
_Y_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER_Y = frozenset({0, 1, _P25519 - 1, _Y_ORDER_8, _P25519 - _Y_ORDER_8})


def rsa_fault(modulus: int, exponent: int) -> KeyRefused | None:
    """Name the fault of an RSA public key (RFC 7518 section 3.3, RFC 8725 section 3.5)."""
    if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS:
        return KeyRefused("jwk_rsa_size", least=MIN_RSA_BITS, most=MAX_RSA_BITS)
    if modulus % 2 == 0:
        return KeyRefused("jwk_rsa_even")
    if exponent % 2 == 0 or not MIN_RSA_EXPONENT <= exponent < MAX_RSA_EXPONENT:
        return KeyRefused("jwk_rsa_exponent")
    if all(modulus % prime in residues for prime, residues in _ROCA_RESIDUES):
        return KeyRefused("jwk_rsa_factored")
    return None


def ed25519_fault(encoded: bytes) -> KeyRefused | None:
    """Name the fault of an Ed25519 public key: RFC 8032 section 5.1.3 decoding, then small order.

    OpenSSL looks at the point only when it verifies; a key set should be refused when it is loaded.
    """
    if len(encoded) != 32:
        return KeyRefused("jwk_ed25519_size")
    y = int.from_bytes(encoded, "little") & ((1 << 255) - 1)
    if y >= _P25519 or y in _SMALL_ORDER_Y:
        return KeyRefused("jwk_ed25519_small")
    numerator, denominator = (y * y - 1) % _P25519, (_D25519 * y * y + 1) % _P25519
    # x^2 = numerator / denominator has a root exactly when the product is a square (Euler's criterion).
    if pow(numerator * denominator, (_P25519 - 1) // 2, _P25519) != 1:
        return KeyRefused("jwk_ed25519_off_curve")
    return None
