"""Hashes of passwords against the specification's vectors and against openssl."""

import shutil
import subprocess

import pytest

from fleet.provisioning.sha512_crypt import hash_password

# https://www.akkadia.org/drepper/SHA-crypt.txt: of its vectors for SHA-512 those whose salt and rounds are in bounds.
VECTORS = """\
$6$rounds=5000$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1 Hello world!
$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v. Hello world!
$6$rounds=5000$toolongsaltstrin$lQ8jolhgVRVhY4b5pZKaysCLi0QBxGoNeKQzQ3glMhwllF7oGDZxUhx1yxdYcz/e1JSbq3y6JMxxl8audkUEm0 This is just a test
$6$rounds=77777$short$WuQyW2YR.hBNpjjRhpYD/ifIw05xdfeEyQoMxIXbkvr0gge1a1x3yRULJ5CCaUeOxFmtlcGZelFl5CxtgfiAc0 we have a short salt string but not a short password
$6$rounds=123456$asaltof16chars..$BtCwjqMJGx5hrJhZywWvt0RLE8uZ4oPwcelCjmw2kSYu.Ec6ycULevoBK25fs2xXgMNrCzIMVcgEJAstJeonj1 a short string
"""  # noqa: E501


@pytest.mark.parametrize("vector", VECTORS.splitlines(), ids=lambda vector: vector.split("$")[3])
def test_the_specifications_vectors(vector):
    expected, _, password = vector.partition(" ")
    _, _, rounds, salt, _ = expected.split("$")
    assert hash_password(password, salt, int(rounds.removeprefix("rounds="))) == expected


@pytest.mark.parametrize("password", ["x", "pä$$ wörd", "y" * 63, "y" * 64, "y" * 65, "z" * 200])
def test_openssl_makes_the_same(password):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: Debian's package openssl")
    words = ["openssl", "passwd", "-6", "-salt", "rounds=1000$abcDEF./", "-stdin"]
    ended = subprocess.run(words, input=f"{password}\n", capture_output=True, text=True, timeout=60)
    assert hash_password(password, "abcDEF./", 1000) == ended.stdout.strip()


def test_each_hash_has_a_salt_of_its_own():
    assert hash_password("same", rounds=1000) != hash_password("same", rounds=1000)
