"""What systemd makes of the words in a unit, asked of a systemd."""

import os
import subprocess

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from edge_runtime.service.unit import quoted

pytest_plugins = ["systemd_fixtures"]

NASTY = (
    "plain", "", " ", "two words", "tab\there", "line\nbreak", "\r", "%", "%h", "%%", "100%", "$HOME", "${HOME}", "$", "$$",
    "\\", "\\\\", "a\\", "\\n", "\\x41", '"', "'", "it's", '"quoted"', "''", ";", "\\;", "&", "|", "`id`", "$(id)", "#", "-",
    "--", "-- ", "@", "+x", "!", ":", "*", "~", "=", "a=b", "Grüße", "猫", "🐱", "e\u0301", "\u2028", "\u00a0", "\x01", 
    "\x7f", "\x85", "\ufeff", "\udcff", "a\udc80b", "rtsp://user:p%20w$d@host/1?a=b&c",
    "gst:v4l2src ! video/x-raw,format=RGB ! appsink",
)  # fmt: skip
ARGUMENTS = st.lists(
    st.sampled_from(NASTY) | st.binary(max_size=12).map(lambda b: os.fsdecode(b.replace(b"\0", b"")))
)
PRINTF = "/usr/bin/printf"
END = "the end of one command"


@pytest.mark.parametrize(
    "word, text",
    [
        ("--camera", "--camera"),
        ("/srv/litelens/parts.tflite", "/srv/litelens/parts.tflite"),
        ("", '""'),
        ("two words", '"two words"'),
        ("100%", '"100%%"'),
        ("$HOME", '"$$HOME"'),
        ('say "hi"', r'"say \"hi\""'),
        ("it's", '"it\'s"'),
        ("a\\b", r'"a\\b"'),
        ("a\nb", r'"a\x0ab"'),
        ("Grüße", '"Grüße"'),
        ("\u2028", r'"\xe2\x80\xa8"'),
        ("\udcff", r'"\xff"'),
    ],
)
def test_quoted(word, text):
    assert quoted(word) == text


@pytest.mark.soak
# A batch is one unit with a line a command, as starting a unit costs more than a line.
@settings(max_examples=5, suppress_health_check=list(HealthCheck), phases=(Phase.generate,))
@given(st.lists(ARGUMENTS, min_size=10, max_size=40))
def test_systemd_hands_over_every_word_as_it_was(booted, batch):
    batch.append(list(NASTY))
    lines = (" ".join(map(quoted, (PRINTF, r"%s\0", *words, END))) for words in batch)
    unit, out = (booted.files / path for path in ("etc/systemd/system/words.service", "run/words"))
    unit.write_text(
        "[Service]\nType=oneshot\nStandardOutput=append:/run/words\n"
        + "".join(f"ExecStart={line}\n" for line in lines)
    )
    out.unlink(missing_ok=True)
    booted.run("systemctl", "daemon-reload", check=True)
    booted.run("systemctl", "start", "words", check=True)
    handed, commands = [], []
    for word in out.read_bytes().split(b"\0")[:-1]:
        if word == END.encode():
            commands.append(handed)
            handed = []
        else:
            handed.append(os.fsdecode(word))
    assert commands == batch


@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(ARGUMENTS)
def test_systemd_analyze_finds_no_fault(tmp_path_factory, words):
    unit = tmp_path_factory.mktemp("unit") / "words.service"
    unit.write_text(f"[Service]\nExecStart={PRINTF} {' '.join(map(quoted, words))}\n")
    ended = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
