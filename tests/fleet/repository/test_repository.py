"""A folder that was altered or cut short is not signed again."""

import json
import shutil

import pytest

from fleet.repository.errors import RepositoryError
from fleet.repository.repository import create, locked, open_repository


def altered(path, change) -> None:
    fields = json.loads(path.read_bytes())
    change(fields["signed"])
    path.write_text(json.dumps(fields))


ALTERATIONS = {
    "an offer that nobody signed": ("2.targets.json", lambda signed: signed["targets"].clear()),
    "another snapshot": ("2.snapshot.json", lambda signed: signed.update(version=3)),
    "a timestamp with a longer life": (
        "timestamp.json",
        lambda signed: signed.update(expires="2099-01-01T00:00:00Z"),
    ),
    "a root with a longer life": (
        "1.root.json",
        lambda signed: signed.update(expires="2099-01-01T00:00:00Z"),
    ),
}


@pytest.mark.parametrize("file, change", ALTERATIONS.values(), ids=ALTERATIONS)
def test_an_altered_folder_is_not_signed_again(publish, site, file, change):
    publish("1")
    altered(site / "metadata" / file, change)
    with pytest.raises(RepositoryError):
        publish("2")
    assert not (site / "metadata" / "3.targets.json").exists()


def test_a_root_that_strangers_signed_is_not_followed(publish, site, keyring, tmp_path, now):
    """They have put a whole repository of their own into the folder, from the second root on."""
    publish("1")
    create(tmp_path / "other", keyring(tmp_path / "other keys"), now)
    root = json.loads((tmp_path / "other" / "metadata" / "1.root.json").read_bytes())
    root["signed"]["version"] = 2
    (site / "metadata" / "2.root.json").write_text(json.dumps(root))
    with pytest.raises(RepositoryError, match="is not signed by the keys of the root before"):
        publish("2")


@pytest.mark.parametrize("file", ["2.targets.json", "2.snapshot.json", "timestamp.json", "1.root.json"])
def test_a_damaged_folder_is_named(publish, site, file):
    publish("1")
    path = site / "metadata" / file
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RepositoryError):
        publish("2")


@pytest.mark.parametrize("file", ["1.root.json", "pending.root.json", "timestamp.json", "2.root.json"])
def test_one_roles_metadata_in_anothers_place_are_named(publish, site, file):
    publish("1")
    shutil.copy(site / "metadata" / "2.snapshot.json", site / "metadata" / file)
    with pytest.raises(RepositoryError):
        open_repository(site, None)


def test_a_folder_without_a_repository_is_named(tmp_path):
    with pytest.raises(RepositoryError, match="has no repository"):
        open_repository(tmp_path, None)


def test_an_older_backup_is_named(publish, site, keyring, tmp_path, now):
    from fleet.repository.roles import change_role

    publish("1")
    shutil.copytree(site, tmp_path / "backup")
    keys, repository = keyring(), open_repository(site, None)
    change_role(repository, keys, "timestamp", days=5)
    repository.write(keys, now)
    with pytest.raises(RepositoryError, match="or of a later state of it"):
        open_repository(tmp_path / "backup", keyring().trusted_root)


def test_a_repository_is_not_made_twice(publish, site, keyring, now):
    publish("1")
    with pytest.raises(RepositoryError, match="has a repository already"):
        create(site, keyring(), now)


def test_two_publishers_do_not_meet(publish, site):
    publish("1")
    with locked(site), pytest.raises(RepositoryError, match="another process changes"):
        publish("2")
    publish("2")
