from pathlib import Path

import numpy as np
import pytest

from edge_runtime import Classifier
from edge_runtime.device import ChosenDevice, DeviceError, choose_device, choosing
from edge_runtime.device import probe as probing
from edge_runtime.device.choosing import _coral_is_seen
from edge_runtime.errors import InterpreterError, ModelFileError
from edge_runtime.interpreter import LIBRARIES, Delegate, Interpreter
from edge_runtime.live.status import DeviceStatus


@pytest.fixture
def without_coral(monkeypatch):
    monkeypatch.setattr(choosing, "_coral_is_seen", lambda: False)


def test_the_cpu_is_asked_nothing(pair, install):
    install("aborts")
    assert choose_device("cpu", pair) == ChosenDevice(pair, None, DeviceStatus("cpu", "cpu", ""))


@pytest.mark.parametrize("wanted, option", [("edgetpu", ()), ("edgetpu:usb:0", (("device", "usb:0"),))])
def test_an_edge_tpu_gets_the_compiled_file(pair, install, wanted, option):
    install("works")
    chosen = choose_device(wanted, pair)
    assert chosen.model == pair.with_name("parts_edgetpu.tflite")
    assert chosen.delegate == Delegate(choosing.LIBRARY, option)
    assert chosen.status == DeviceStatus(wanted, wanted, "")


def test_auto_takes_an_edge_tpu_that_works(pair, install, coloured, tmp_path):
    install("works")
    chosen = choose_device("auto", pair, tmp_path / "state")
    assert chosen.status == DeviceStatus("auto", "edgetpu", "")
    classifier = Classifier(chosen.model, delegate=chosen.delegate)
    assert classifier.classify(coloured("green"))[0].label == "green"


@pytest.mark.parametrize(
    "kind, reason", [("aborts", "Aborted"), ("segfaults", "Segmentation fault"), ("refuses", "no Edge TPU")]
)
def test_auto_falls_back_and_says_why(pair, install, kind, reason):
    install(kind)
    chosen = choose_device("auto", pair)
    assert (chosen.model, chosen.delegate) == (pair, None)
    assert (chosen.status.wanted, chosen.status.used) == ("auto", "cpu") and reason in chosen.status.degraded
    with pytest.raises(DeviceError, match=reason) as caught:
        choose_device("edgetpu", pair)
    assert "litelens doctor" in caught.value.hint


def test_auto_falls_back_from_a_library_that_hangs(pair, install, monkeypatch):
    monkeypatch.setattr(probing, "TIMEOUT_S", 2)
    install("sleeps")
    assert "hangs" in choose_device("auto", pair).status.degraded


def test_after_three_crashes_auto_stays_on_the_cpu_until_told(pair, install, tmp_path):
    install("aborts")
    reasons = [choose_device("auto", pair, tmp_path / "state").status.degraded for _ in range(3)]
    assert all("Aborted" in reason and "3 times" not in reason for reason in reasons)
    install("works")
    assert "crashed 3 times within 24 h" in choose_device("auto", pair, tmp_path / "state").status.degraded
    assert choose_device("edgetpu", pair, tmp_path / "state").delegate
    assert choose_device("auto", pair, tmp_path / "state").status.degraded == ""


def test_a_refusal_is_no_crash(pair, install, tmp_path):
    install("refuses")
    for _ in range(4):
        assert "no Edge TPU" in choose_device("auto", pair, tmp_path / "state").status.degraded


def test_what_this_process_uses_is_not_probed(pair, install):
    install("aborts")
    assert choose_device("auto", pair, in_use=True).status == DeviceStatus("auto", "edgetpu", "")


def test_without_a_coral_and_a_compiled_file_nothing_is_degraded(model, install, without_coral):
    install("aborts")
    assert choose_device("auto", model) == ChosenDevice(model, None, DeviceStatus("auto", "cpu", ""))


def test_a_coral_without_a_compiled_file_is_degraded(model, monkeypatch):
    monkeypatch.setattr(choosing, "_coral_is_seen", lambda: True)
    assert "parts_edgetpu.tflite is not beside" in choose_device("auto", model).status.degraded


def test_a_missing_compiled_file_is_an_error_with_a_hint(model):
    with pytest.raises(DeviceError, match=r"parts_edgetpu\.tflite is not beside .*parts\.tflite") as caught:
        choose_device("edgetpu", model)
    assert "--edge-tpu" in caught.value.hint


def test_a_compiled_file_of_another_version_is_not_used(pair, repacked, install):
    install("works")
    repacked(version="2").rename(pair)
    with pytest.raises(DeviceError, match="is of tiny 1, expected tiny 2"):
        choose_device("edgetpu", pair)


def test_a_file_that_was_not_compiled_is_not_used(model, tiny, install):
    install("works")
    model.with_name("parts_edgetpu.tflite").write_bytes(tiny.read_bytes())
    with pytest.raises(DeviceError, match="holds nothing for an Edge TPU"):
        choose_device("edgetpu", model)


def test_a_damaged_compiled_file_is_not_used(pair, install):
    install("works")
    compiled = pair.with_name("parts_edgetpu.tflite")
    compiled.write_bytes(compiled.read_bytes()[:1000])
    with pytest.raises(ModelFileError, match="was cut short"):
        choose_device("edgetpu", pair)
    assert "was cut short" in choose_device("auto", pair).status.degraded


@pytest.mark.parametrize("name", [".", "absent.tflite", "n" * 300, "a/b"])
def test_a_model_of_any_name_is_looked_beside(name, tmp_path, monkeypatch, without_coral):
    monkeypatch.chdir(tmp_path)
    assert choose_device("auto", Path(name)).status.degraded == ""
    with pytest.raises(DeviceError, match="is not beside"):
        choose_device("edgetpu", Path(name))


@pytest.mark.parametrize(
    "files, seen",
    [
        ({}, False),
        ({"usb/devices/1-1/idVendor": "1a6e\n", "usb/devices/1-1/idProduct": "089a\n"}, True),
        ({"usb/devices/2-1/idVendor": "18d1\n", "usb/devices/2-1/idProduct": "9302\n"}, True),
        ({"usb/devices/2-1/idVendor": "18d1\n", "usb/devices/2-1/idProduct": "4ee7\n"}, False),  # a telephone
        (
            {"pci/devices/0000:01:00.0/vendor": "0x1ac1\n", "pci/devices/0000:01:00.0/device": "0x089a\n"},
            True,
        ),
        ({"usb/devices/usb1": ""}, False),
    ],
)
def test_sees_a_coral_by_its_numbers(tmp_path, files, seen):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert _coral_is_seen(tmp_path) == seen


@pytest.mark.parametrize("name", LIBRARIES)
def test_both_interpreters_take_a_delegate(name, library, tiny):
    pytest.importorskip(name)
    with_delegate = Interpreter(tiny, 1, name, Delegate(library("works")))
    plain = Interpreter(tiny, 1, name)
    picture = np.random.default_rng(0).integers(0, 256, plain.input.shape, dtype=np.uint8)
    assert np.array_equal(with_delegate.invoke(picture), plain.invoke(picture))
    with pytest.raises(InterpreterError, match="cannot load the delegate .* no Edge TPU with device=pci"):
        Interpreter(tiny, 1, name, Delegate(library("refuses"), (("device", "pci"),)))
