"""What nothing refers to goes, but not before readers that hold an older timestamp have passed."""

import os

from fleet.repository.pruning import KEEP, prune
from fleet.repository.repository import open_repository


def versions(site, role: str) -> set[int]:
    return {
        int(path.name.partition(".")[0])
        for path in site.glob(f"metadata/*.{role}.json")
        if path.name[0].isdigit()
    }


def files(site) -> set[str]:
    return {path.name.split(".", 1)[1] for path in site.glob("targets/*/*")}


def age(site, days: float) -> None:
    """Has all files be so much older."""
    for path in site.rglob("*"):
        if path.is_file():
            time_s = path.stat().st_mtime - days * 86400
            os.utime(path, (time_s, time_s))


def test_a_reader_with_the_timestamp_before_still_finds_everything(publish, device, site):
    publish("1")
    timestamp = (site / "metadata" / "timestamp.json").read_bytes()
    publish("2")
    publish("3")
    (site / "metadata" / "timestamp.json").write_bytes(timestamp)  # as a cache would serve it
    assert device().path, "version 1, verified"


def test_what_was_replaced_long_ago_is_gone(publish, device, site):
    for version in "12345":
        publish(version)
        age(site, KEEP.total_seconds() / 86400 + 1)
    publish("6")
    # 5 was the newest until now; what came before was replaced when the files were already old.
    assert files(site) == {"5.tflite", "6.tflite"}
    assert len(versions(site, "snapshot")) == len(versions(site, "targets")) == 2
    assert versions(site, "root") == {1}
    assert device().version == "6"


def test_what_devices_outside_of_a_rollout_take_stays(publish, device, site):
    publish("1")
    publish("2", percent=0.01)
    for _ in range(3):
        age(site, 10)
        publish("2", percent=0.01)
    assert files(site) == {"1.tflite", "2.tflite"}


def test_strangers_files_stay(publish, site):
    publish("1")
    strangers = [
        site / "index.html",
        site / "metadata" / "notes.txt",
        site / "targets" / "tiny" / "readme.tflite",
    ]
    for path in strangers:
        path.write_text("not ours")
    age(site, 10)
    publish("2")
    assert all(path.exists() for path in strangers)


def test_what_a_killed_publish_left_goes_and_the_newest_stays(publish, device, site, keyring, now, days):
    """It had written the next snapshot and offer, but no timestamp; since then only the timestamp was signed."""
    publish("1")
    metadata = site / "metadata"
    for role in ("snapshot", "targets"):
        (metadata / f"3.{role}.json").write_bytes((metadata / f"2.{role}.json").read_bytes())
    (metadata / ".3.targets.json.abcd1234").write_text("cut")
    age(site, 10)
    keys, repository = keyring(), open_repository(site, None)
    repository.write(keys, now)
    prune(repository, now)
    assert versions(site, "snapshot") == versions(site, "targets") == {2}
    assert not list(metadata.glob(".*"))
    assert device().version == "1"
