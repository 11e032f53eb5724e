"""What is on offer, to whom: versions, channels, rollouts."""

import pytest

from edge_runtime.errors import ModelFileError
from edge_runtime.updating.offers import OfferError, bucket
from fleet.repository.errors import RepositoryError
from fleet.repository.publishing import releases
from fleet.repository.repository import open_repository


def on_offer(site, keyring) -> list[tuple]:
    found = releases(open_repository(site, keyring().trusted_root).targets)
    return sorted(
        (channel, stage.number, release.version, stage.buckets)
        for release in found
        for channel, stage in release.stages.items()
    )


def test_the_first_publish_makes_keys_and_repository(publish, device, site, keyring):
    assert publish("1").created
    assert not publish("2").created
    found = device()
    assert (found.name, found.version, found.note) == ("tiny", "2", "")
    assert sorted(path.name.partition("-")[0] for path in keyring().folders[0].glob("*.pem")) == [
        "root", "snapshot", "targets", "timestamp",
    ]  # fmt: skip


def test_what_is_fetched_is_what_was_published(publish, device, repack):
    publish("1")
    with open(device().path, "rb") as fetched:
        assert fetched.read() == repack(version="1").read_bytes()


def test_a_device_that_has_the_file_does_not_fetch_it(publish, device):
    done = publish("1")
    assert device(passed_over=(done.release.sha256,)).path == ""


def test_channels_do_not_touch_each_other(publish, device):
    publish("1")
    publish("2", channel="beta")
    assert (device().version, device(channel="beta").version) == ("1", "2")
    publish("3")
    assert (device().version, device(channel="beta").version) == ("3", "2")


def test_an_empty_channel_has_nothing(publish, device):
    publish("1")
    assert device(channel="beta").version == ""


def test_a_rollout_reaches_the_devices_below_its_bucket_and_the_others_stay(publish, device):
    names = [f"device {number}" for number in range(8)]
    publish("1")
    done = publish("2", percent=30)
    assert done.before.version == "1"
    below = {name for name in names if bucket("tiny/2.tflite", name) < 3000}
    assert below and below != set(names), "the table of names shows both sides"
    assert {name for name in names if device(name).version == "2"} == below
    publish("2", percent=60)
    wider = {name for name in names if device(name).version == "2"}
    assert below < wider
    publish("2")
    assert all(device(name).version == "2" for name in names)


def test_raising_a_rollout_uploads_nothing(publish, site):
    first = publish("1", percent=10)
    files = {path: path.stat().st_mtime_ns for path in site.glob("targets/*/*")}
    second = publish("1", percent=20)
    assert (first.uploaded, second.uploaded) == (True, False)
    assert {path: path.stat().st_mtime_ns for path in site.glob("targets/*/*")} == files


def test_a_version_is_taken_back(publish, device, site, keyring):
    publish("1")
    publish("2", percent=100)  # all devices: 1 is not on offer any more
    with pytest.raises(RepositoryError, match="nothing to go back to"):
        publish("2", percent=0)
    publish("3", percent=50)
    publish("3", percent=0)
    assert device().version == "2"
    assert on_offer(site, keyring) == [("stable", 2, "2", 10_000)]


def test_only_the_newest_can_be_taken_back(publish):
    publish("1")
    publish("2", percent=50)
    with pytest.raises(RepositoryError, match="not the newest on stable"):
        publish("1", percent=0)


def test_an_older_version_can_be_made_the_newest_again(publish, device):
    publish("1")
    publish("2")
    publish("1")
    assert device().version == "1"


def test_versions_that_nobody_takes_are_dropped(publish, site, keyring):
    publish("1")
    publish("2", percent=10)
    publish("3", percent=50)
    publish("1", channel="beta")
    assert on_offer(site, keyring) == [
        ("beta", 1, "1", 10_000), ("stable", 1, "1", 10_000), ("stable", 2, "2", 1000), ("stable", 3, "3", 5000),
    ]  # fmt: skip
    publish("3")
    assert on_offer(site, keyring) == [("beta", 1, "1", 10_000), ("stable", 3, "3", 10_000)]


def test_models_of_several_names_share_a_repository(publish, device, site, keyring):
    publish("1")
    publish("7", name="other")
    assert device().version == "1"
    assert [version for _, _, version, _ in on_offer(site, keyring)] == ["1", "7"]


def test_one_version_is_one_file(publish):
    publish("1")
    with pytest.raises(RepositoryError, match="on offer with other bytes") as refused:
        publish("1", method="qat")
    assert "export again" in refused.value.hint


@pytest.mark.parametrize(
    "changes", [{"name": "../x"}, {"version": "1/2"}, {"version": "previous"}, {"name": "é"}]
)
def test_a_name_that_no_store_takes_is_not_published(site, keyring, now, repack, changes):
    from fleet.repository.publishing import publish as run

    with pytest.raises(OfferError, match="which no device's store takes"):
        run(repack(**changes), site, keyring(), now, channel="stable", buckets=10_000)
    assert not site.exists(), "nothing was made"


def test_what_is_no_model_is_not_published(site, keyring, tmp_path, now):
    from fleet.repository.publishing import publish as run

    (tmp_path / "x.tflite").write_bytes(b"\0\0\0\0TFL3 and no more")
    with pytest.raises(ModelFileError):
        run(tmp_path / "x.tflite", site, keyring(), now, channel="stable", buckets=10_000)
    assert not site.exists()
