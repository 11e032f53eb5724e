"""Private keys: encrypted, their owner's alone, never in the folder that is served."""

import stat

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from fleet.repository.errors import KeyFileError
from fleet.repository.keys import TRIES, Keyring
from fleet.repository.repository import create, open_repository


def test_key_files_are_encrypted_and_their_owners_alone(publish, keyring, passphrase):
    publish("1")
    folder = keyring().folders[0]
    files = sorted(folder.glob("*.pem"))
    assert len(files) == 4
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
        assert load_pem_private_key(path.read_bytes(), passphrase.encode())
        with pytest.raises(ValueError):
            load_pem_private_key(path.read_bytes(), b"another passphrase")


def test_nothing_private_is_in_the_folder_that_is_served(publish, site, keyring):
    publish("1")
    private = [path.read_bytes() for path in keyring().folders[0].glob("*.pem")]
    for path in site.rglob("*"):
        if path.is_file():
            assert b"PRIVATE" not in path.read_bytes() and path.read_bytes() not in private


@pytest.mark.parametrize("below", ["", "metadata", "deep/er"])
def test_keys_are_not_made_in_the_folder_that_is_served(site, keyring, now, below):
    with pytest.raises(KeyFileError, match="served to everybody"):
        create(site, keyring(site / below), now)
    assert not list(site.rglob("*.pem"))


def test_a_link_into_the_folder_does_not_help(site, tmp_path, keyring, now):
    site.mkdir()
    (tmp_path / "keys").symlink_to(site)
    with pytest.raises(KeyFileError, match="served to everybody"):
        create(site, keyring(), now)


def test_a_key_that_others_can_read_is_not_used(publish, keyring):
    publish("1")
    path = next(keyring().folders[0].glob("timestamp-*.pem"))
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="others can read") as refused:
        publish("2")
    assert refused.value.hint == f"chmod 600 {path}"


def test_a_wrong_passphrase_is_asked_for_again(publish, keyring, site, now, passphrase):
    publish("1")
    asked = []

    def forgetful(path, new):
        asked.append(path.name.partition("-")[0])
        return passphrase if len(asked) % 2 == 0 else "not this one"

    keys = Keyring(keyring().folders, forgetful)
    publish("2", keys=keys)
    assert asked == ["targets", "targets"], "and the other files are tried with what has opened one"


def test_each_key_may_have_a_passphrase_of_its_own(keyring, site, now):
    """Four root keys, four people."""
    keys = Keyring(keyring().folders, lambda path, new: f"the passphrase of {path.name}")
    create(site, keys, now, root_keys=4)
    again = Keyring(keyring().folders, lambda path, new: f"the passphrase of {path.name}")
    root = open_repository(site, again.trusted_root).root.signed
    assert len(again.signers(root.keys.values())) == 7


def test_a_passphrase_that_never_fits_ends_in_an_error(publish, keyring, device):
    publish("1")
    asked = []
    keys = Keyring(keyring().folders, lambda path, new: asked.append(path) or "not this one")
    with pytest.raises(KeyFileError, match="cannot be opened"):
        publish("2", keys=keys)
    assert len(asked) == TRIES
    assert device().version == "1"


def test_a_missing_key_is_named(publish, keyring, device):
    publish("1")
    next(keyring().folders[0].glob("targets-*.pem")).unlink()
    with pytest.raises(
        KeyFileError, match="targets wants 1 of the keys [0-9a-f]{8}; .*keys has none of them"
    ):
        publish("2")
    assert device().version == "1"


def test_another_key_under_the_same_name_is_not_used(publish, keyring):
    publish("1")
    folder = keyring().folders[0]
    targets, snapshot = (next(folder.glob(f"{role}-*.pem")) for role in ("targets", "snapshot"))
    targets.write_bytes(snapshot.read_bytes())
    with pytest.raises(KeyFileError, match="cannot be opened"):
        publish("2")


def test_keys_of_another_repository_are_refused(publish, keyring, site, tmp_path, now):
    from fleet.repository.errors import RepositoryError

    publish("1")
    other = keyring(tmp_path / "other keys")
    create(tmp_path / "other", other, now)
    with pytest.raises(RepositoryError, match="the keys are of another repository"):
        publish("2", keys=other)
    with pytest.raises(RepositoryError, match="belong to a repository, and"):
        create(tmp_path / "third", other, now)


def test_the_folder_of_keys_knows_the_newest_root(publish, keyring, site):
    publish("1")
    assert keyring().trusted_root == (site / "metadata" / "1.root.json").read_bytes()
    assert open_repository(site, keyring().trusted_root).root.signed.version == 1
