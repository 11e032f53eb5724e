"""Rotation, thresholds, and roots that several people sign; devices follow through all of it."""

import shutil

import pytest

from fleet.repository.errors import KeyFileError, RepositoryError
from fleet.repository.pruning import prune
from fleet.repository.repository import SIGNED_ROLES, create, open_repository
from fleet.repository.roles import change_role, differences, role_statuses


@pytest.fixture
def opened(site, keyring):
    return lambda keys=None: open_repository(site, (keys or keyring()).trusted_root)


@pytest.fixture
def rotate(opened, keyring, now):
    """Replaces all keys of a role by one new one; returns what was noted."""

    def run(role: str, keys=None) -> list[str]:
        keys = keys or keyring()
        repository = opened(keys)
        change_role(
            repository, keys, role, add_key=True, remove_keys=repository.root.signed.roles[role].keyids
        )
        return repository.write(keys, now)

    return run


@pytest.mark.parametrize("role", SIGNED_ROLES)
def test_a_key_is_rotated_and_devices_follow(publish, device, rotate, opened, keyring, role):
    publish("1")
    assert device().version == "1"
    old = opened().root.signed.roles[role].keyids
    assert rotate(role) == []
    assert opened().root.signed.version == 2
    assert opened().root.signed.roles[role].keyids != old
    assert device().version == "1", "one that was there before"
    assert device("new").version == "1", "one that begins with the first root"
    next(keyring().folders[0].glob(f"{role}-{old[0][:12]}.pem")).unlink()
    publish("2")
    assert device().version == device("new").version == "2"


def test_the_root_key_is_rotated_and_devices_follow(publish, device, rotate, keyring, opened):
    publish("1")
    device()
    for _ in range(3):
        assert rotate("root") == []
    publish("2")
    assert device().version == device("new").version == "2"
    assert opened().root.signed.version == 4


def test_an_old_root_key_counts_no_longer(publish, rotate, keyring, opened, tmp_path, now):
    publish("1")
    shutil.copytree(keyring().folders[0], tmp_path / "stolen")
    rotate("root")
    stolen = keyring(tmp_path / "stolen")
    repository = opened(stolen)
    change_role(
        repository,
        stolen,
        "targets",
        add_key=True,
        remove_keys=repository.root.signed.roles["targets"].keyids,
    )
    notes = repository.write(stolen, now)
    assert "root 3 waits for 1 of the root keys" in notes[0]
    assert opened().root.signed.version == 2


def test_the_lost_key_of_a_role_is_replaced(publish, device, rotate, keyring):
    publish("1")
    device()
    next(keyring().folders[0].glob("timestamp-*.pem")).unlink()
    with pytest.raises(KeyFileError, match="timestamp wants 1 of the keys"):
        publish("2")
    assert rotate("timestamp") == []
    publish("2")
    assert device().version == "2"


def test_a_threshold_of_targets_wants_both_keys(publish, device, opened, keyring, now, tmp_path):
    publish("1")
    keys, repository = keyring(), opened()
    change_role(repository, keys, "targets", add_key=True, threshold=2)
    assert repository.write(keys, now) == []
    second = sorted(keys.folders[0].glob("targets-*.pem"))[-1]
    (tmp_path / "stick").mkdir()
    shutil.move(second, tmp_path / "stick")
    with pytest.raises(KeyFileError, match="targets wants 2 of the keys"):
        publish("2")
    publish("2", keys=keyring(keys.folders[0], tmp_path / "stick"))
    assert device().version == "2"


@pytest.mark.parametrize(
    "change, told",
    [
        ({"threshold": 2}, "targets would have 1 keys, and 2 of them must sign"),
        ({"remove_keys": [""]}, "targets would have 0 keys"),
        ({"remove_keys": ["zz"]}, "'zz' is the beginning of 0 of targets's keys"),
    ],
)
def test_a_role_is_not_left_without_the_keys_it_wants(publish, opened, keyring, change, told):
    publish("1")
    with pytest.raises(RepositoryError, match=told):
        change_role(opened(), keyring(), "targets", **change)


class TestTwoOfThree:
    """Three people hold a root key each, and two must agree; none of them is where the other keys are."""

    @pytest.fixture
    def people(self, site, keyring, now, tmp_path):
        """Their keyrings: the publisher's without a root key, then Ann's, Bob's and Cy's."""
        keys = keyring()
        create(site, keys, now, root_keys=3, root_threshold=2)
        rings = [keys]
        for name, path in zip(("ann", "bob", "cy"), sorted(keys.folders[0].glob("root-*.pem")), strict=True):
            (tmp_path / name).mkdir()
            shutil.move(path, tmp_path / name)
            shutil.copy(keys.folders[0] / "root.json", tmp_path / name)
            rings.append(keyring(tmp_path / name))
        return rings

    @pytest.fixture
    def rotating(self, people, keyring, opened, now):
        """Ann has the timestamp's key rotated, at the publisher's desk; what is noted."""
        publisher, ann, *_ = people
        both = keyring(*publisher.folders, *ann.folders)
        repository = opened(both)
        change_role(
            repository,
            both,
            "timestamp",
            add_key=True,
            remove_keys=repository.root.signed.roles["timestamp"].keyids,
        )
        return repository.write(both, now)

    def test_one_is_too_few(self, rotating, publish, device, opened):
        assert len(rotating) == 1 and "root 2 waits for 1 of the root keys" in rotating[0]
        assert opened().root.signed.version == 1
        publish("1")
        assert device().version == "1"

    def test_a_second_one_signs_elsewhere(self, rotating, people, opened, publish, device, now):
        """Bob has a copy of DIR and his key, nothing else; the publisher's timer then brings it into force."""
        publish("1")
        device()
        publisher, _, bob, _ = people
        repository = opened(bob)
        repository.adopt()
        notes = repository.write(bob, now)
        assert notes[-1] == "root 2 waits for the new key of timestamp: litelens repo sign takes them"
        assert opened().root.signed.version == 1
        assert device().version == "1"
        assert opened(publisher).write(publisher, now) == []
        assert opened().root.signed.version == 2
        assert device().version == device("new").version == "1"

    def test_only_the_root_changes(self, people, opened, publish, device, keyring, now):
        """Ann replaces Cy's key; the publisher is not needed."""
        publish("1")
        device()
        _, ann, bob, _ = people
        repository = opened(ann)
        cy = next(
            keyid
            for keyid in repository.root.signed.roles["root"].keyids
            if not ann.has(repository.root.signed.keys[keyid])
            and not bob.has(repository.root.signed.keys[keyid])
        )
        change_role(repository, ann, "root", add_key=True, remove_keys=[cy])
        assert "waits for 1 of the root keys" in repository.write(ann, now)[-1]
        repository = opened(bob)
        repository.adopt()
        assert not [note for note in repository.write(bob, now) if "waits" in note]
        assert opened().root.signed.version == 2
        assert device().version == device("new").version == "1"

    def test_a_second_one_signs_at_the_publishers_desk(
        self, rotating, people, keyring, opened, publish, device, now
    ):
        publish("1")
        device()
        publisher, _, bob, _ = people
        both = keyring(*publisher.folders, *bob.folders)
        repository = opened(both)
        assert repository.proposed and not repository.pending
        repository.adopt()
        assert repository.write(both, now) == []
        assert opened().root.signed.version == 2
        publish("2")
        assert device().version == device("new").version == "2"

    def test_what_nobody_agreed_to_is_not_signed(self, rotating, people, keyring, opened, now):
        publisher, _, bob, cy = people
        everybody = keyring(*publisher.folders, *bob.folders, *cy.folders)
        notes = opened(everybody).write(everybody, now)
        assert notes == [f"root 2 is proposed: litelens repo sign {opened().folder} shows it"]
        assert opened().root.signed.version == 1
        assert opened().proposed, "and it is not lost"

    def test_a_bad_signature_in_a_persons_name_is_replaced(
        self, rotating, people, keyring, opened, site, now
    ):
        from securesystemslib.signer import Signature
        from tuf.api.metadata import Metadata

        publisher, _, bob, _ = people
        path = site / "metadata" / "pending.root.json"
        proposal = Metadata.from_file(str(path))
        (signer,) = bob.signers(proposal.signed.keys.values())
        proposal.signatures[signer.public_key.keyid] = Signature(signer.public_key.keyid, "00" * 64)
        proposal.to_file(str(path))
        both = keyring(*publisher.folders, *bob.folders)
        repository = opened(both)
        repository.adopt()
        assert repository.write(both, now) == []
        assert opened().root.signed.version == 2

    def test_an_altered_proposal_takes_nothing_along(
        self, rotating, people, opened, site, publish, device, keyring, now
    ):
        """Who may write to DIR may propose what he likes; not even the times in it are believed."""
        from tuf.api.metadata import Metadata

        proposal = Metadata.from_file(str(site / "metadata" / "pending.root.json"))
        proposal.signed.roles["timestamp"].unrecognized_fields["x-litelens-days"] = 3650
        proposal.to_file(str(site / "metadata" / "pending.root.json"))
        publish("1")
        assert opened().days("timestamp") == 7
        assert (opened().signed("timestamp").expires - now).days <= 7
        changes = differences(opened().root.signed, opened().proposed.signed)
        assert "timestamp: in force for 3650 days instead of 7" in changes
        assert any("timestamp: a new key" in line for line in changes)


def test_days_are_changed_and_kept(publish, opened, keyring, now, days):
    publish("1")
    keys, repository = keyring(), opened()
    change_role(repository, keys, "timestamp", days=2)
    repository.write(keys, now)
    assert (opened().signed("timestamp").expires - now.replace(microsecond=0)) == days(2)
    status = {status.role: status.days for status in role_statuses(opened())}
    assert status == {"root": 365, "targets": 365, "snapshot": 365, "timestamp": 2}


class TestSigningAgain:
    """What a timer does once a day: at first only the timestamp, later what is about to expire."""

    @pytest.fixture
    def sign(self, opened, keyring):
        def run(at, keys=None) -> list[str]:
            keys = keys or keyring()
            repository = opened(keys)
            notes = repository.write(keys, at)
            prune(repository, at)
            return notes

        return run

    @pytest.fixture
    def versions(self, opened):
        return lambda: {status.role: status.version for status in role_statuses(opened())}

    def test_only_the_timestamp_while_all_else_lasts(self, publish, sign, versions, now, days):
        publish("1")
        before = versions()
        assert sign(now + days(1)) == []
        assert versions() == before | {"timestamp": before["timestamp"] + 1}

    def test_all_that_is_about_to_expire(self, publish, sign, versions, opened, now, days):
        publish("1")
        before = versions()
        assert sign(now + days(300)) == []
        assert versions() == {role: version + 1 for role, version in before.items()}
        assert all(status.expires > now + days(300) for status in role_statuses(opened()))

    def test_a_timer_with_the_timestamps_key_alone_says_what_it_cannot_sign(
        self, publish, sign, versions, keyring, now, days, device
    ):
        publish("1")
        before = versions()
        for role in ("root", "targets", "snapshot"):
            next(keyring().folders[0].glob(f"{role}-*.pem")).unlink()
        notes = sign(now + days(300))
        assert [note.partition(" ends on ")[0] for note in notes] == [
            "the signature of root", "the signature of targets", "the signature of snapshot",
        ]  # fmt: skip
        assert versions() == before | {"timestamp": before["timestamp"] + 1}
        assert device().version == "1"

    def test_an_expired_repository_is_renewed(self, publish, sign, versions, device, now, days):
        publish("1", at=now - days(400))
        assert sign(now) == []
        assert device().version == "1"

    def test_a_clock_that_went_back_signs_nothing(self, publish, sign, site, now, days):
        publish("1")
        before = {path: path.read_bytes() for path in site.rglob("*.json")}
        with pytest.raises(RepositoryError, match="the clock says"):
            sign(now - days(1))
        assert {path: path.read_bytes() for path in site.rglob("*.json")} == before
