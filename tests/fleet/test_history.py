"""The workstation's own memory of what it did."""

import dataclasses
import json
import stat
import subprocess
import sys

import pytest

from edge_runtime.errors import WriteError
from fleet.history import Entry, append, history_file, read

ENTRY = Entry(
    "2026-01-01T00:00:00+00:00", "d1", "pi@d1", "tiny", "2", "ab", "1", "flashed", "watch", "", "new", 1.5
)


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_it_comes_back_as_it_was():
    first = dataclasses.replace(ENTRY, from_version=None, problem="no room")
    append(first)
    append(ENTRY)
    assert read().entries == (first, ENTRY) and read().damaged_lines == 0
    fields = json.loads(history_file().read_text().splitlines()[1])
    assert fields["from"] == "1" and "from_version" not in fields
    assert stat.S_IMODE(history_file().stat().st_mode) == 0o600, "it names machines and users"


def test_nothing_was_done_yet():
    assert read().entries == ()


def test_without_the_variable_it_lies_in_home(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert history_file() == tmp_path / ".local/state/litelens/fleet-history.jsonl"


WRITER = """
import dataclasses, sys
from fleet.history import Entry, append
name, fields = sys.argv[1], eval(sys.argv[2])
for number in range(200):
    append(Entry(**fields | {"device": f"{name}{number}", "why": name * 400}))
"""


def test_two_at_once_write_whole_lines():
    fields = repr(dataclasses.asdict(ENTRY))
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, name, fields]) for name in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    entries, damaged = read().entries, read().damaged_lines
    assert (len({entry.device for entry in entries}), damaged) == (400, 0)


@pytest.mark.parametrize(
    "damage", [b'{"when": "2026', b"\xff\xfe\n", b"[]\n", b'{"when": 7}\n', b"[" * 100_000 + b"\n"]
)
def test_a_damaged_line_stops_no_reader(damage):
    append(ENTRY)
    with history_file().open("ab") as file:
        file.write(damage)
    append(ENTRY)
    assert read().entries == (ENTRY, ENTRY) and read().damaged_lines == 1


def test_what_stands_there_moves_no_cursor():
    append(dataclasses.replace(ENTRY, problem="\x1b[2J"))
    assert read().entries[0].problem == "?[2J"


def test_a_file_that_cannot_be_written_is_an_instruction():
    history_file().mkdir(parents=True)
    with pytest.raises(WriteError, match="the history cannot be written") as refused:
        append(ENTRY)
    assert str(history_file().parent) in refused.value.hint
    with pytest.raises(WriteError):
        read()
