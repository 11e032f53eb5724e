import json
import os
import subprocess
import sys
import textwrap
from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edge_runtime.sinks import hard_examples as module
from edge_runtime.sinks.hard_examples import HardExamples, next_milliseconds, time_text
from edge_runtime.sinks.settings import HardExampleSettings

from .conftest import HOSTILE, LABELS, event, model_of, observation, wait_for

UNSURE = (0.5, 0.3, 0.2)
SURE = (0.98, 0.01, 0.01)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "below" / "hard"


def saving(folder, model=model_of, **settings) -> HardExamples:
    given = {"every_s": 0.0, "free_bytes": 0, **settings}
    return HardExamples(HardExampleSettings(str(folder), **given), model)


def stems(folder) -> list[str]:
    """Of the examples, in the order of their names; each must have both of its files."""
    names = sorted(path.name for path in folder.iterdir())
    found = [name.removesuffix(".json") for name in names if name.endswith(".json")]
    assert names == sorted(f"{stem}{ending}" for stem in found for ending in (".jpg", ".json"))
    return found


def save_all(examples: HardExamples, *observations) -> None:
    with examples:
        for count, each in enumerate(observations, start=1):
            examples.take(each)
            wait_for(lambda count=count: examples.delivered == count)


@pytest.mark.parametrize(
    "scores, events, why",
    [
        (SURE, (), ""),
        (UNSURE, (), "uncertain"),
        ((0.3, 0.05, 0.02), (), "uncertain"),
        ((0.7, 0.2, 0.1), (), "uncertain"),
        ((0.71, 0.2, 0.09), (), ""),
        ((0.29, 0.05, 0.02), (), ""),
        ((0.29, 0.25, 0.02), (), "uncertain"),
        ((0.8, 0.75, 0.02), (), "uncertain"),
        ((1.0,), (), ""),
        (SURE, (event(),), "changed"),
        (UNSURE, (event(),), "changed"),
    ],
)
def test_which_frames_are_hard(folder, scores, events, why):
    with saving(folder) as examples:
        examples.take(observation(*events, scores=scores))
    assert [stem.rpartition("-")[2] for stem in (stems(folder) if folder.exists() else [])] == (
        [why] if why else []
    )


def test_saves_the_whole_frame_and_what_the_model_said(folder):
    image = np.zeros((480, 640, 3), np.uint8)
    image[:, 320:] = (250, 120, 10)
    changed = event("green")
    save_all(saving(folder), observation(changed, scores=UNSURE, state="green", image=image, number=7))
    (stem,) = stems(folder)
    assert stem == "20231114T221320.000Z-changed"
    with Image.open(folder / f"{stem}.jpg") as picture:
        assert picture.format == "JPEG" and picture.size == (640, 480)
        assert np.abs(np.asarray(picture).astype(int) - image).mean() < 2, "RGB as it was"
    content = json.loads((folder / f"{stem}.json").read_text())
    assert content["why"] == "changed" and content["time"] == 1_700_000_000.0
    assert content["model"] == {"name": "tiny", "version": "1", "labels": list(LABELS)}
    assert (content["source"], content["frame"], content["answer"], content["state"]) == (
        "door",
        7,
        "blue",
        "green",
    )
    assert content["scores"] == {"blue": 0.5, "green": 0.3, "red": 0.2}
    assert content["predictions"][0] == {"class_id": 0, "label": "blue", "score": 0.5}
    assert content["events"] == [vars(changed)]


@pytest.mark.parametrize("label", HOSTILE)
def test_any_label_stays_out_of_file_names(folder, label):
    labels = (label, *LABELS[1:])
    save_all(saving(folder, lambda: model_of(labels)), observation(event(label), labels=labels, state=label))
    (stem,) = stems(folder)
    assert stem == "20231114T221320.000Z-changed"
    assert json.loads((folder / f"{stem}.json").read_text())["state"] == label


def test_at_most_one_in_so_many_seconds(folder, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    with saving(folder, every_s=10) as examples:
        for _ in range(20):
            examples.take(observation(scores=UNSURE))
            now[0] += 1
            wait_for(lambda: examples.status().waiting == 0)
    assert len(stems(folder)) == 2


def test_the_wall_clock_has_no_say_in_that(folder):
    with saving(folder, every_s=3600) as examples:
        for time_s in (1_700_000_000.0, 1_900_000_000.0, 0.0):
            examples.take(observation(scores=UNSURE, time_s=time_s))
    assert len(stems(folder)) == 1


def test_names_sort_in_order_when_the_clock_jumps_back(folder):
    times = [
        1_700_000_000.0,
        1_700_000_010.5,
        1_600_000_000.0,
        1_600_000_000.0,
        1_700_000_010.502,
        1_700_000_020.0,
    ]
    save_all(saving(folder), *(observation(scores=UNSURE, time_s=t, number=n) for n, t in enumerate(times)))
    found = [json.loads((folder / f"{stem}.json").read_text()) for stem in stems(folder)]
    assert [content["frame"] for content in found] == [0, 1, 2, 3, 4, 5]
    assert [content["time"] for content in found] == times, "as the clock told it"


def test_names_go_on_where_the_last_run_ended(folder):
    save_all(saving(folder), observation(scores=UNSURE, time_s=1_700_000_000.0, number=0))
    save_all(saving(folder), observation(event(), time_s=1_600_000_000.0, number=1))
    found = [json.loads((folder / f"{stem}.json").read_text())["frame"] for stem in stems(folder)]
    assert found == [0, 1]


@given(st.lists(st.floats(-1e9, 250_000_000_000), min_size=1), st.integers(-1, 250_000_000_000_000))
def test_names_rise_whatever_the_clock_does(times, last_ms):
    names = []
    for time_s in times:
        last_ms = next_milliseconds(time_s, last_ms)
        names.append(time_text(last_ms))
        assert module._milliseconds(f"{names[-1]}-changed") == last_ms
        assert module._NAME.fullmatch(f"{names[-1]}-changed.jpg")
    assert names == sorted(set(names))


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers())
def test_no_time_is_too_far_away(time_s, last_ms):
    assert module._NAME.fullmatch(f"{time_text(next_milliseconds(time_s, last_ms))}-uncertain.json")


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8)


def test_the_oldest_make_room(folder):
    given = [observation(scores=UNSURE, image=noise(n), number=n, time_s=1.7e9 + n) for n in range(20)]
    save_all(saving(folder, cap_bytes=50_000), *given)
    kept = [json.loads((folder / f"{stem}.json").read_text())["frame"] for stem in stems(folder)]
    assert 3 < len(kept) < 20 and kept == list(range(20 - len(kept), 20))
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 50_000


def test_the_cap_counts_what_earlier_runs_saved(folder):
    for run in range(4):
        given = [observation(scores=UNSURE, image=noise(n), time_s=1.7e9 + 10 * run + n) for n in range(5)]
        save_all(saving(folder, cap_bytes=50_000), *given)
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 50_000


def test_others_files_are_left_alone(folder):
    folder.mkdir(parents=True)
    (folder / "holiday.jpg").write_bytes(bytes(100_000))
    (folder / "20231114T221320.000Z-changed").mkdir()
    (folder / "99999999T999999.999Z-changed.jpg").mkdir()
    with saving(folder, cap_bytes=20_000) as examples:
        for number in range(5):
            examples.take(observation(scores=UNSURE, image=noise(number)))
            wait_for(lambda number=number: examples.delivered == number + 1)
    assert (folder / "holiday.jpg").stat().st_size == 100_000
    assert (folder / "99999999T999999.999Z-changed.jpg").is_dir()


def test_a_name_that_is_no_time_counts_and_goes_first(folder):
    folder.mkdir(parents=True)
    (folder / "00000000T000000.000Z-changed.jpg").write_bytes(bytes(49_000))
    save_all(saving(folder, cap_bytes=50_000), observation(scores=UNSURE, image=noise(0)))
    assert len(stems(folder)) == 1


def test_what_a_pull_took_away_is_not_missed(folder):
    with saving(folder, cap_bytes=50_000) as examples:
        for number in range(20):
            examples.take(observation(scores=UNSURE, image=noise(number), time_s=1.7e9 + number))
            wait_for(lambda number=number: examples.delivered == number + 1)
            if number == 3:
                for path in folder.iterdir():
                    path.unlink()
    assert examples.status().ok


def test_a_frame_above_the_cap_is_refused(folder):
    with saving(folder, cap_bytes=100) as examples:
        examples.take(observation(scores=UNSURE, image=noise(0)))
        wait_for(lambda: examples.dropped)
        assert "above the cap" in examples.status().error
    assert list(folder.iterdir()) == []


def test_room_is_left_on_the_disk(tmpfs):
    disk = tmpfs("size=4m")
    with saving(disk / "hard", free_bytes=10**9) as examples:
        examples.take(observation(scores=UNSURE))
        wait_for(lambda: "4 MB are free" in examples.status().error)
        assert "1000 MB are to be left" in examples.status().error and not examples.status().ok
    assert list((disk / "hard").iterdir()) == []


def test_a_disk_that_fills_in_between_leaves_nothing_half_written(full, monkeypatch):
    disk, fill, make_room = full
    room = namedtuple("room", "free")(2**40)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: room)
    folder = disk / "hard"
    with saving(folder) as examples:
        examples.take(observation(scores=UNSURE, number=0))
        wait_for(lambda: examples.delivered == 1)
        fill()
        examples.take(observation(scores=UNSURE, number=1))
        wait_for(lambda: "No space left" in examples.status().error)
        assert len(stems(folder)) == 1
        make_room()
        wait_for(lambda: examples.delivered == 2)
        assert examples.status().ok
    assert len(stems(folder)) == 2


def test_a_folder_that_cannot_be_written_is_reported(tmpfs):
    with saving(tmpfs("ro,size=1m") / "hard") as examples:
        examples.take(observation(scores=UNSURE))
        wait_for(lambda: "Read-only" in examples.status().error)


def test_a_killed_run_leaves_whole_examples(folder):
    """Killed at a moment of no one's choosing, the next run finds pairs and clears away the rest."""
    script = f"""
        import os, sys, threading, time
        sys.path.insert(0, {os.path.dirname(__file__)!r})
        from conftest import model_of, observation
        import numpy as np
        from edge_runtime.sinks.hard_examples import HardExamples
        from edge_runtime.sinks.settings import HardExampleSettings
        image = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
        with HardExamples(HardExampleSettings(sys.argv[1], every_s=0, free_bytes=0), model_of) as examples:
            threading.Timer(float(sys.argv[2]), os._exit, [9]).start()
            while True:
                examples.take(observation(scores=(0.5, 0.3, 0.2), image=image))
                time.sleep(0.001)
    """
    for seconds in (0.3, 0.35):
        subprocess.run([sys.executable, "-c", textwrap.dedent(script), folder, str(seconds)], check=False)
        pictures = {path.stem for path in folder.glob("*.jpg")}
        assert pictures <= {path.stem for path in folder.glob("*.json")}
        for stem in pictures:
            with Image.open(folder / f"{stem}.jpg") as picture:
                picture.load()
    (folder / ".20231114T221320.000Z-changed.jpg.abcdef").write_bytes(b"half")
    save_all(saving(folder), observation(scores=UNSURE))
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_two_frames_wait_at_most(folder):
    """Each may hold megabytes."""
    examples = saving(folder)  # its thread has not begun
    for number in range(100):
        examples.take(observation(scores=UNSURE, number=number))
    assert examples.status().waiting == 2 and examples.dropped == 98
