import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.update_load.fleet_size import daily, peaks, rollout, servers
from benchmarks.update_load.looks import Look
from benchmarks.update_load.serving import Load, median
from benchmarks.update_load.web_server import KEPT_BY_CACHES, Answered

NOTHING_NEW = Look("nothing new", requests=2, connections=1, sent_bytes=200, received_bytes=1000)
SIGNED_AGAIN = Look("signed again", requests=2, connections=1, sent_bytes=200, received_bytes=1100)
DOCS = Path(__file__).parents[2] / "docs"


def test_a_look_is_what_the_server_answered():
    answered = [Answered(7, 404, 100, 300, "/2.root.json"), Answered(7, 200, 110, 700, "/timestamp.json")]
    assert Look.of("one", answered) == Look("one", 2, 1, 210, 1000)


def test_a_day_has_24_looks_and_one_new_timestamp():
    day = daily(NOTHING_NEW, SIGNED_AGAIN, 1_000_000)
    assert day.bytes_per_device == 23 * 1200 + 1300
    assert day.looks_s == pytest.approx(277.8, abs=0.1) and day.requests_s == 2 * day.looks_s
    assert day.bits_s == pytest.approx(day.bytes_total * 8 / 86400)


def test_a_rollout_counts_the_whole_look():
    cost = rollout(Look("update", 5, 1, 1_000, 649_000), 1_000_000)
    assert (cost.bytes_per_wave, cost.bytes_total) == (65e9, 650e9)
    assert cost.bits_s == pytest.approx(65e9 * 8 / 3600)


def test_devices_that_start_together_spread():
    top = peaks(100_000)
    assert 100_000 / 60 < top.first_minute < 100_000 / 60 * 1.2
    average = 100_000 / 3600
    assert top.first_minute > 10 * top.second_hour > 10 * average
    assert average < top.last_hour < top.second_hour * 1.2


@pytest.mark.parametrize(
    "requests_s, borne_s, count", [(1, 1000, 1), (1000, 1000, 1), (1001, 1000, 2), (33_000, 1000, 33)]
)
def test_servers(requests_s, borne_s, count):
    assert servers(requests_s, borne_s) == count


def test_of_several_runs_the_median_and_every_error():
    loads = [Load(10, 1, 1, 5, 0), Load(30, 3, 3, 1, 2), Load(20, 2, 2, 3, 1)]
    assert median(loads) == Load(20, 2, 2, 3, 3)


def test_docs_tell_the_configuration_that_was_measured():
    told = " ".join((DOCS / "updates.md").read_text().split())
    assert " ".join(KEPT_BY_CACHES.split()) in told


@pytest.mark.soak
def test_all_of_it(tmp_path):
    for program, package in (("nginx", "nginx-light"), ("wrk", "wrk")):
        if not (shutil.which(program) or shutil.which(f"/usr/sbin/{program}")):
            pytest.skip(f"Debian's package {package} is not installed")
    command = [sys.executable, "-m", "benchmarks.update_load", "--seconds", "1", "--runs", "1", "--json"]
    ended = subprocess.run([*command, tmp_path / "r.json"], capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    found = json.loads((tmp_path / "r.json").read_text())
    looks = {look["name"]: look for look in found["looks"]}
    assert (looks["nothing new"]["requests"], looks["nothing new"]["connections"]) == (2, 1)
    assert looks["nothing new"]["received_bytes"] < 1500
    assert looks["new version, 2.7 MB"]["requests"] == 5
    assert 2_700_000 < looks["new version, 2.7 MB"]["received_bytes"] < 2_710_000
    assert looks["after months, 3 roots, 0.65 MB"]["requests"] == 8, "a root each, and no request more"
    assert found["loads"][0]["errors"] == 0 and found["loads"][0]["requests_s"] > 0
    for text in ("One device's look", "1,000,000 devices", "GB in all"):
        assert text in ended.stdout
