import os
import re
import time

import pytest

from edge_runtime.device import probe as probing
from edge_runtime.device.probe import Probe, probe
from edge_runtime.interpreter import Delegate


@pytest.mark.parametrize(
    "kind, problem, crashed",
    [
        ("aborts", r"ended the process that tried it \(Aborted\): F usb_driver.cc: check failed$", True),
        ("segfaults", r"ended the process that tried it \(Segmentation fault\)", True),
        ("exits", r"ended the process that tried it \(exit code 0\)", True),
        ("lacks", "cannot load the delegate .* undefined symbol: tflite_plugin_create_delegate", False),
        ("refuses", "cannot load the delegate .* no Edge TPU with device=usb:1", False),
        ("works", "^$", False),
    ],
)
def test_this_process_outlives_every_library(library, pair, kind, problem, crashed):
    found = probe(pair, Delegate(library(kind), (("device", "usb:1"),)))
    assert found.crashed == crashed and re.search(problem, found.problem), found


def test_a_library_that_hangs_is_given_up(library, pair, monkeypatch):
    monkeypatch.setattr(probing, "TIMEOUT_S", 3)
    started = time.monotonic()
    path = library("sleeps")
    assert probe(pair, Delegate(path)) == Probe(f"{path} hangs: it did not end within 3 s", crashed=True)
    assert time.monotonic() - started < 10
    with pytest.raises(ChildProcessError):  # nor is a process left behind
        os.waitpid(-1, os.WNOHANG)


def test_an_absent_library_is_a_problem(pair):
    found = probe(pair, Delegate("libabsent.so.1"))
    assert "libabsent.so.1: cannot open shared object file" in found.problem and not found.crashed


def test_a_model_that_the_interpreter_refuses_is_a_problem(library, tmp_path):
    (tmp_path / "model.tflite").write_bytes(b"nothing")
    found = probe(tmp_path / "model.tflite", Delegate(library("works")))
    assert "cannot load" in found.problem and not found.crashed


def test_what_lies_in_the_working_directory_is_not_run(library, pair, tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert probe(pair, Delegate(library("works"))).problem == ""


def test_without_another_process_there_is_no_edge_tpu(pair, monkeypatch):
    monkeypatch.setattr("sys.executable", "/absent/python")
    found = probe(pair, Delegate("libedgetpu.so.1"))
    assert "no other process can try libedgetpu.so.1" in found.problem and not found.crashed
