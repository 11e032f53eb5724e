"""Passwords as /etc/shadow has them: SHA-512 crypt, which every Debian reads.

As Ulrich Drepper's specification "Unix crypt using SHA-256 and SHA-512" (https://www.akkadia.org/drepper/SHA-crypt.txt) says,
step by step. Python's own module crypt ended with 3.12, and not every workstation's openssl makes these hashes.
"""

import hashlib
import secrets

ROUNDS = 100_000
"""Twenty times the specification's default, which is of 2007: each try of whoever has copied the card takes as much longer."""
_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def hash_password(password: str, salt: str | None = None, rounds: int = ROUNDS) -> str:
    """The hash of a password, with its salt and rounds.

    Args:
        password: Of any length; its UTF-8 is hashed.
        salt: At most 16 characters of A-Z a-z 0-9 . /; None draws one.
        rounds: 1,000 to 999,999,999.

    Example:
        >>> hash_password("Hello world!", "saltstring", 5000)
        '$6$rounds=5000$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1'
    """
    salt = salt or "".join(secrets.choice(_ALPHABET) for _ in range(16))
    key, seed = password.encode(), salt.encode()
    digest = _rounds(key, seed, rounds)
    text = ""
    for turn in range(21):  # bytes 21 apart, from each turn's own start on: three bytes are four characters
        first, second, third = (digest[(22 * turn + 21 * step) % 63] for step in range(3))
        text += _base64(first << 16 | second << 8 | third, 4)
    return f"$6$rounds={rounds}${salt}${text}{_base64(digest[63], 2)}"


def _rounds(key: bytes, seed: bytes, rounds: int) -> bytes:
    """Steps 1 to 21 of the specification."""
    inner = hashlib.sha512(key + seed + key).digest()
    start = hashlib.sha512(key + seed + _repeated(inner, len(key)))
    length = len(key)
    while length:
        start.update(inner if length & 1 else key)
        length >>= 1
    digest = start.digest()
    keys = _repeated(hashlib.sha512(key * len(key)).digest(), len(key))
    seeds = _repeated(hashlib.sha512(seed * (16 + digest[0])).digest(), len(seed))
    for number in range(rounds):
        content = keys if number % 2 else digest
        content += seeds if number % 3 else b""
        content += keys if number % 7 else b""
        digest = hashlib.sha512(content + (digest if number % 2 else keys)).digest()
    return digest


def _repeated(digest: bytes, length: int) -> bytes:
    return (digest * (length // len(digest) + 1))[:length]


def _base64(number: int, count: int) -> str:
    """Six bits a character, the lowest first."""
    return "".join(_ALPHABET[number >> 6 * place & 63] for place in range(count))
