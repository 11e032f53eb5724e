import json
import os
import stat
import subprocess
import sys
import textwrap
import threading

import pytest

from edge_runtime.errors import WriteError
from edge_runtime.sinks.json_lines import JsonLines, RotatingFile

from .conftest import HOSTILE, event, observation, wait_for


class Pipe:
    """A target whose reader may be slow or gone."""

    name = "stdout"

    def __init__(self):
        self.reading, self.lines, self.closed = threading.Event(), [], False
        self.reading.set()

    def write(self, line: bytes) -> None:
        self.reading.wait()
        if self.closed:
            raise BrokenPipeError(32, "Broken pipe")
        self.lines.append(line)

    def close(self) -> None:
        pass


@pytest.mark.parametrize("label", HOSTILE)
def test_an_observation_is_one_line_of_json(label):
    labels = (label, "green", "red")
    given, pipe = observation(event(label), state=label, labels=labels), Pipe()
    with JsonLines(pipe, "all", live=True) as lines:
        lines.take(given)
    (line,) = pipe.lines
    assert line.index(b"\n") == len(line) - 1 and line.isascii()
    found = json.loads(line)
    assert found["source"] == "door" and found["frame"] == 0 and found["time"] == 1_700_000_000.0
    assert found["answer"] == found["state"] == found["events"][0]["label"] == label
    assert found["predictions"][0] == {"class_id": 0, "label": label, "score": 0.9}
    assert found["events"][0]["kind"] == "entered" and found["events"][0]["id"] == given.events[0].id
    assert found["age_ms"] == 12.3 and found["invoke_ms"] == 5.68


@pytest.mark.parametrize("live", [True, False])
def test_a_line_a_frame_or_a_line_an_event(live):
    frames, events = Pipe(), Pipe()
    given = [observation(number=0), observation(event("red"), event("blue"), number=1), observation(number=2)]
    with JsonLines(frames, "all", live) as all_lines, JsonLines(events, "events", live) as event_lines:
        for each in given:
            all_lines.take(each)
            event_lines.take(each)
    assert [json.loads(line)["frame"] for line in frames.lines] == [0, 1, 2]
    assert [json.loads(line)["label"] for line in events.lines] == ["red", "blue"]
    assert json.loads(events.lines[0]) == {**vars(given[1].events[0])}
    assert all_lines.status().delivered == 3 and event_lines.status().delivered == 2


def test_a_slow_reader_of_a_live_camera_misses_lines():
    pipe = Pipe()
    pipe.reading.clear()
    with JsonLines(pipe, "all", live=True) as lines:
        for number in range(3000):
            lines.take(observation(number=number))
        assert lines.status().dropped in (1999, 2000)
        pipe.reading.set()
        wait_for(lambda: lines.status().waiting == 0)
    assert json.loads(pipe.lines[-1])["frame"] == 2999


def test_a_file_is_waited_for():
    pipe = Pipe()
    pipe.reading.clear()
    threading.Timer(0.2, pipe.reading.set).start()
    with JsonLines(pipe, "all", live=False) as lines:
        for number in range(3000):
            lines.take(observation(number=number))
    assert len(pipe.lines) == 3000 and lines.status().dropped == 0


@pytest.mark.parametrize("live", [True, False])
def test_a_closed_pipe_ends_the_program_that_takes(live):
    pipe = Pipe()
    pipe.closed = True

    def take_until_told() -> bool:
        lines.take(observation())
        return False

    with JsonLines(pipe, "all", live) as lines, pytest.raises(BrokenPipeError):
        wait_for(take_until_told)


@pytest.mark.parametrize("live", [True, False])
def test_head_ends_it(live):
    """`| head -n 2`, with a program that would go on for ever."""
    script = f"""
        import click, sys, time
        sys.path.insert(0, {str(os.path.dirname(__file__))!r})
        from conftest import observation
        from edge_runtime.sinks.json_lines import JsonLines, StandardOutput

        @click.command()
        def main():
            with JsonLines(StandardOutput(), "all", live={live}) as lines:
                while True:
                    lines.take(observation())
                    time.sleep(0.001)

        main()
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        head = [process.stdout.readline() for _ in range(2)]
        process.stdout.close()
        assert process.wait(30) == 1
        assert process.stderr.read() == b""
    assert all(json.loads(line) for line in head)


def files_of(folder) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize(
    "keep, expected",
    [
        (0, {"log": "5\n6\n"}),
        (1, {"log": "5\n6\n", "log.1": "3\n4\n"}),
        (9, {"log": "5\n6\n", "log.1": "3\n4\n", "log.2": "1\n2\n"}),
    ],
)
def test_rotates_by_size(tmp_path, keep, expected):
    file = RotatingFile(tmp_path / "log", rotate_bytes=4, keep=keep)
    for number in range(1, 7):
        file.write(f"{number}\n".encode())
    file.close()
    assert files_of(tmp_path) == expected


def test_a_line_longer_than_a_file_stands_alone(tmp_path):
    file = RotatingFile(tmp_path / "log", rotate_bytes=4, keep=5)
    for line in (b"1\n", b"longer than four\n", b"2\n"):
        file.write(line)
    file.close()
    assert files_of(tmp_path) == {"log": "2\n", "log.1": "longer than four\n", "log.2": "1\n"}


def test_the_next_run_appends(tmp_path):
    for line in (b"1\n", b"2\n", b"3\n"):
        file = RotatingFile(tmp_path / "below" / "log", rotate_bytes=4, keep=5)
        file.write(line)
        file.close()
    assert files_of(tmp_path / "below") == {"log": "3\n", "log.1": "1\n2\n"}


def test_half_a_line_of_a_killed_run_spoils_no_other(tmp_path):
    (tmp_path / "log").write_bytes(b'{"frame": 1}\n{"fra')
    file = RotatingFile(tmp_path / "log", rotate_bytes=1000, keep=5)
    file.write(b'{"frame": 3}\n')
    file.close()
    assert (tmp_path / "log").read_text() == '{"frame": 1}\n{"fra\n{"frame": 3}\n'


def test_a_full_disk_takes_whole_lines_or_none(full):
    disk, fill, make_room = full
    file = RotatingFile(disk / "log", rotate_bytes=2**20, keep=5)
    file.write(b"1" * 3000 + b"\n")
    fill()
    with pytest.raises(OSError):
        file.write(b"2" * 9000 + b"\n")
    assert (disk / "log").stat().st_size == 3001
    make_room()
    file.write(b"3\n")
    file.close()
    assert (disk / "log").read_bytes() == b"1" * 3000 + b"\n3\n"


def test_a_full_disk_is_reported_and_tried_again(full):
    disk, fill, make_room = full
    fill()
    with JsonLines(RotatingFile(disk / "log", 2**20, 5), "all", live=True) as lines:
        lines.take(observation(number=1))
        wait_for(lambda: "No space left" in lines.status().error)
        assert not lines.status().ok
        make_room()
        wait_for(lambda: lines.status().ok)
    assert json.loads((disk / "log").read_text())["frame"] == 1


def test_without_a_live_camera_a_full_disk_is_an_error(full):
    disk, fill, _ = full
    fill()
    with (
        JsonLines(RotatingFile(disk / "log", 2**20, 5), "all", live=False) as lines,
        pytest.raises(WriteError, match="No space left"),
    ):
        lines.take(observation())


def test_the_log_has_a_files_usual_permissions(tmp_path):
    file = RotatingFile(tmp_path / "log", 1000, 5)
    file.write(b"1\n")
    file.close()
    (tmp_path / "plain").write_bytes(b"")
    assert len({stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}) == 1
