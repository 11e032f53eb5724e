"""A look at a repository over months and rotations, with clocks that are wrong, and what is kept of it."""

import json
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from edge_runtime.errors import MissingExtraError, WriteError
from edge_runtime.updating.errors import NotReached, RepositoryRefused, UpdateError
from edge_runtime.updating.fetching import Fetched, Limits, Request, fetch

ROOT = Path(__file__).parents[3]


@pytest.fixture
def request_of(world, tmp_path):
    """What the world's device asks for; keywords change it."""

    def make(**changes) -> Request:
        fields = {
            "address": world.server.address,
            "root": str(world.folder / "root.json"),
            "folder": str(world.state),
            "name": "tiny",
            "channel": "stable",
            "device_id": "one",
            "known_time_s": 0.0,
            "passed_over": (),
            "limits": world.limits,
        }
        return Request(**fields | changes)

    return make


@pytest.fixture
def look(request_of):
    return lambda **changes: fetch(request_of(**changes))


class TestAwayForMonths:
    """The device was switched off; meanwhile the publisher has rotated every key, more than once."""

    @pytest.fixture
    def rotated(self, world) -> int:
        """The number of the newest root."""
        for role in ("timestamp", "root", "snapshot", "targets", "root", "timestamp", "root"):
            old = world.repository().root.signed.roles[role].keyids
            world.change_role(role, add_key=True, remove_keys=old)
        world.change_role("root", add_key=True, threshold=2)
        world.publish("2")
        return world.repository().root.signed.version

    def test_it_walks_the_roots_in_order_and_catches_up(self, world, rotated, look):
        assert rotated == 9
        found = look()
        assert (found.version, found.note) == ("2", "")
        roots = [path for path in world.server.paths if "root.json" in path]
        assert roots == [f"/metadata/{version}.root.json" for version in range(2, 11)]

    def test_it_walks_them_once(self, world, rotated, look):
        look()
        world.server.asked.clear()
        look()
        assert world.server.paths[0] == "/metadata/10.root.json"

    def test_a_missing_root_in_between_stops_it_where_it_is(self, world, rotated, look):
        (world.metadata / "4.root.json").unlink()
        with pytest.raises(RepositoryRefused, match="was signed by 0/1 keys"):
            look()

    def test_its_own_timestamp_has_expired(self, world, look):
        """It was signed ten days ago for seven, and a newer one is there."""
        shutil.rmtree(world.site)
        shutil.rmtree(world.folder / "keys")
        shutil.rmtree(world.state / "metadata")
        today, world.now = world.now, world.now - timedelta(days=10)
        world.publish("1")
        shutil.copy(world.metadata / "1.root.json", world.folder / "root.json")
        shutil.copytree(world.metadata, world.state / "metadata")  # its look of ten days ago
        (world.state / "metadata" / "2.snapshot.json").rename(world.state / "metadata" / "snapshot.json")
        (world.state / "metadata" / "2.targets.json").rename(world.state / "metadata" / "targets.json")
        with pytest.raises(RepositoryRefused, match="timestamp.json is expired"):
            look()
        world.now = today
        world.publish("2")
        assert look().version == "2"


class TestClock:
    def test_a_clock_behind_the_repositorys_signature_is_told_and_harms_nothing(self, world, look):
        """As a Pi sees it that booted in the past: for it, the repository was signed in two days."""
        world.now += timedelta(days=2)
        world.sign()
        found = look()
        assert found.version == "1"
        assert "this device's clock says" in found.note and "or later: set it" in found.note

    def test_a_clock_a_few_seconds_behind_is_none(self, world, look):
        world.now += timedelta(seconds=30)
        world.sign()
        assert look().note == ""

    def test_a_time_once_known_is_not_forgotten(self, world, look):
        later = (world.now + timedelta(days=3)).timestamp()
        found = look(known_time_s=later)
        assert found.time_s == later and "set it" in found.note

    def test_metadata_that_expired_by_the_known_time_are_refused(self, world, look):
        with pytest.raises(
            RepositoryRefused, match="timestamp expired on .* although this device's clock says"
        ):
            look(known_time_s=(world.now + timedelta(days=8)).timestamp())

    def test_a_clock_far_ahead_is_named_beside_the_servers(self, world, look):
        """Seen from here: all was signed thirty days ago."""
        shutil.rmtree(world.state / "metadata")
        shutil.rmtree(world.site)
        shutil.rmtree(world.folder / "keys")
        world.now -= timedelta(days=30)
        world.publish("1")
        shutil.copy(world.metadata / "1.root.json", world.folder / "root.json")
        with pytest.raises(
            RepositoryRefused, match="expired; this device's clock says .* UTC, the server's "
        ) as refused:
            look()
        assert "timedatectl" in refused.value.hint

    def test_a_publisher_whose_clock_was_ahead_has_locked_nobody_out(self, world, look):
        """The signature of a wrong clock is in force for its own time; the next one, signed rightly, replaces it."""
        today, world.now = world.now, world.now + timedelta(days=100)
        world.sign()
        known = look().time_s
        assert known < today.timestamp() + 3600, "what a signature says of the time is not kept"
        world.now = today
        path = world.metadata / "timestamp.json"
        from tuf.api.metadata import Metadata

        timestamp = Metadata.from_file(str(path))
        timestamp.signed.version += 1
        timestamp.signed.expires = (today + timedelta(days=7)).replace(microsecond=0)
        timestamp.signed.unrecognized_fields["x-litelens-signed-at"] = today.strftime("%Y-%m-%dT%H:%M:%SZ")
        (signer,) = world.keyring().signers(world.repository().keys("timestamp"))
        timestamp.sign(signer)
        path.write_bytes(timestamp.to_bytes())
        assert look(known_time_s=known).note == ""


def test_a_stolen_timestamp_key_that_ran_ahead_is_recovered_from(world, look):
    """The thief has used up the version numbers; a rotated key begins anew."""
    from tuf.api.metadata import Metadata

    genuine = world.folder / "genuine"
    shutil.copytree(world.site, genuine)
    path = world.metadata / "timestamp.json"
    timestamp = Metadata.from_file(str(path))
    timestamp.signed.version = 2**31
    (signer,) = world.keyring().signers(world.repository().keys("timestamp"))
    timestamp.sign(signer)
    path.write_bytes(timestamp.to_bytes())
    assert look().version == "1"
    shutil.rmtree(world.site)
    shutil.move(genuine, world.site)
    world.publish("2")
    with pytest.raises(RepositoryRefused, match="must be >= 2147483648"):
        look()
    world.change_role(
        "timestamp", add_key=True, remove_keys=world.repository().root.signed.roles["timestamp"].keyids
    )
    assert look().version == "2"


class TestWhatIsKept:
    def test_a_damaged_copy_is_fetched_again(self, world, look):
        for path in (world.state / "metadata").rglob("*.json"):
            path.write_bytes(b"\0" * 100)
        assert look().version == "1"

    def test_what_a_killed_look_left_is_swept(self, world, look):
        (world.state / ".metadata.new" / "root_history").mkdir(parents=True)
        (world.state / ".metadata.new" / "timestamp.json").write_text("cut")
        look()
        assert not (world.state / ".metadata.new").exists()

    def test_a_root_is_kept_although_what_follows_is_refused(self, world, look):
        """Or a stolen key that it revokes would be believed again by who holds the new root back."""
        world.change_role(
            "timestamp", add_key=True, remove_keys=world.repository().root.signed.roles["timestamp"].keyids
        )
        (world.metadata / "timestamp.json").unlink()
        with pytest.raises(NotReached):
            look()
        (world.metadata / "2.root.json").rename(world.folder / "held back")
        world.server.asked.clear()
        with pytest.raises(NotReached):
            look()
        assert world.server.paths == ["/metadata/3.root.json", "/metadata/timestamp.json"]

    def test_a_full_disk_is_an_error_and_the_next_look_goes_on(self, world, request_of, tmpfs):
        disk = tmpfs("size=64k")
        (disk / "fill").write_bytes(b"x" * 60_000)
        with pytest.raises(WriteError):
            fetch(request_of(folder=str(disk)))
        (disk / "fill").unlink()
        assert fetch(request_of(folder=str(disk))).version == "1"

    def test_a_full_disk_during_the_download(self, world, request_of, tmpfs):
        disk = tmpfs("size=64k")
        fetch(request_of(folder=str(disk), passed_over=(world.sha256("1"),)))
        (disk / "fill").write_bytes(b"x" * 44_000)
        with pytest.raises(WriteError):
            fetch(request_of(folder=str(disk)))


class TestWhatIsAskedFor:
    @pytest.mark.parametrize("content", [b"", b"{}", b"<html>", b"[1]"])
    def test_a_root_that_is_none(self, world, look, content):
        (world.folder / "root.json").write_bytes(content)
        with pytest.raises(UpdateError, match="is no root that can be trusted"):
            look()
        assert not world.server.asked

    def test_a_root_that_is_not_there(self, world, look):
        with pytest.raises(UpdateError, match="cannot read the trusted root"):
            look(root="/nowhere/root.json")

    def test_another_repositorys_root(self, world, look, new_world, tmp_path):
        from fleet.repository.keys import Keyring
        from fleet.repository.repository import create

        create(
            tmp_path / "other",
            Keyring((tmp_path / "keys",), lambda path, new: "another passphrase"),
            world.now,
        )
        shutil.rmtree(world.state / "metadata")
        with pytest.raises(RepositoryRefused, match="was signed by 0/1 keys"):
            look(root=str(tmp_path / "other" / "metadata" / "1.root.json"))

    def test_a_newer_root_will_do(self, world, look):
        world.change_role("timestamp", days=5)
        assert look(root=str(world.metadata / "2.root.json")).version == "1"

    def test_the_only_model_needs_no_name(self, look):
        assert look(name=None).name == "tiny"

    def test_one_of_several_does(self, world, look):
        world.publish("7", name="other")
        with pytest.raises(UpdateError, match="has 2 models: other, tiny") as refused:
            look(name=None)
        assert "--model NAME" in refused.value.hint
        assert look(name="other").version == "7"

    def test_a_model_that_is_not_there_is_nothing(self, look):
        assert look(name="other").version == ""


PROGRAM = """
import json, sys
sys.modules["cryptography"] = None
sys.argv = ["fetching"]
import runpy
runpy.run_module("edge_runtime.updating.fetching", run_name="__main__")
"""


@pytest.mark.parametrize("blocked, kind", [("cryptography", None), ("tuf", "MissingExtraError")])
def test_a_device_needs_no_cryptography_but_tuf(world, request_of, blocked, kind):
    """Signatures are then verified in Python: slower, and by the same rules."""
    from dataclasses import asdict

    world.publish("2")
    program = PROGRAM.replace("cryptography", blocked)
    command = [sys.executable, "-c", program]
    asked = json.dumps(asdict(request_of(limits=Limits())))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, input=asked, capture_output=True, text=True, env=environment, timeout=120)
    told = json.loads(ended.stdout)
    if kind:
        assert told["error"] == kind == MissingExtraError.__name__
        assert told["hint"] == "pip install 'litelens[update]'"
    else:
        assert Fetched(**told).version == "2" and Path(told["path"]).read_bytes() == world.packed("2")


@pytest.mark.slow
def test_forged_signatures_are_refused_without_cryptography_too(world, request_of):
    from dataclasses import asdict

    path = world.metadata / "timestamp.json"
    path.write_text(path.read_text().replace('"version":2,"x', '"version":3,"x'))
    asked = json.dumps(asdict(request_of(limits=Limits())))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=asked,
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    assert json.loads(ended.stdout)["message"].endswith("timestamp was signed by 0/1 keys")


@pytest.mark.slow
def test_killed_at_any_instant_nothing_seen_is_forgotten(world, request_of, look, tmp_path):
    """The power goes before each change to the disk; what the device has seen since, it never takes older metadata for new."""
    from dataclasses import asdict

    folder = tmp_path / "states"
    shutil.copytree(world.state, folder / "0")
    older = (world.metadata / "timestamp.json").read_bytes()
    world.change_role(
        "timestamp", add_key=True, remove_keys=world.repository().root.signed.roles["timestamp"].keyids
    )
    world.publish("2")
    newest = (world.metadata / "timestamp.json").read_bytes()
    (tmp_path / "request.json").write_text(json.dumps(asdict(request_of())))
    command = [sys.executable, Path(__file__).with_name("interrupting.py"), tmp_path / "request.json", folder]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests/support'}"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    states = [path for path in folder.iterdir() if path.name != "0"]
    assert len(states) > 20
    for state in states:
        kept = (state / "metadata" / "timestamp.json").read_bytes()
        assert kept in (older, newest)
        if kept == newest:
            (world.metadata / "timestamp.json").write_bytes(older)
            with pytest.raises(RepositoryRefused):
                look(folder=str(state))
            (world.metadata / "timestamp.json").write_bytes(newest)
        assert look(folder=str(state)).version == "2"
        assert not [path for path in state.iterdir() if path.name.endswith(".new")]
