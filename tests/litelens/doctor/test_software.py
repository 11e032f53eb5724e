import dataclasses
import sys

import pytest

from edge_runtime.interpreter import LIBRARIES
from litelens.doctor import check, software
from litelens.doctor.check import Machine
from litelens.doctor.software import (
    ask_python,
    check_answers,
    check_extras,
    check_interpreter,
    check_numpy,
    check_python,
    check_xnnpack,
    try_model,
)

ABSENT = "raise ModuleNotFoundError(f'No module named {__name__!r}', name=__name__)"


def test_the_doctor_knows_the_interpreters_that_the_runtime_tries():
    assert {name: distribution for name, (_, distribution) in LIBRARIES.items()} == software.LIBRARIES


def test_the_doctors_model_is_the_tests_tiny_one(tiny):
    assert software.MODEL.read_bytes() == tiny.read_bytes()


def test_a_sound_environment(environment, assert_is):
    machine = environment()
    python = ask_python(machine)
    assert_is(check_python(python), "ok", f"{sys.version_info[0]}.{sys.version_info[1]}.")
    assert_is(check_numpy(python), "ok", "1." if "tflite_runtime" in python.libraries else "")
    assert_is(check_interpreter(python), "ok", "ai-edge-litert")
    tried = try_model(machine, software.MODEL)
    assert_is(check_answers(tried, python), "ok", "off by 0 output steps")
    assert_is(check_xnnpack(tried, python), "ok", "in use")


def test_int8_models_without_xnnpack(environment, assert_is):
    """tflite-runtime 2.14 has it for float models only."""
    pytest.importorskip("tflite_runtime")
    machine = environment({"ai_edge_litert.__init__": ABSENT})
    python = ask_python(machine)
    assert_is(check_interpreter(python), "ok", "tflite-runtime 2.14.0")
    tried = try_model(machine, software.MODEL)
    assert_is(check_answers(tried, python), "ok", "output steps, 3 allowed")
    assert_is(
        check_xnnpack(tried, python),
        "warn",
        "not in use: tflite-runtime",
        "pip install --upgrade ai-edge-litert",
    )
    on_32_bit_arm = dataclasses.replace(python, machine="armv7l")
    assert_is(check_xnnpack(tried, on_32_bit_arm), "warn", "not in use", "64-bit")


def test_nothing_is_installed(environment, assert_is):
    machine = environment(others=False)
    python = ask_python(machine)
    assert_is(check_python(python), "ok", machine.python.removesuffix("/bin/python"))
    assert_is(
        check_numpy(python), "fail", "No module named 'numpy'", f"{python.prefix}/bin/python3 -m pip install"
    )
    assert_is(
        check_interpreter(python), "fail", "No module named 'tflite_runtime'", "pip install ai-edge-litert"
    )
    on_32_bit_arm = dataclasses.replace(python, machine="armv7l")
    assert_is(check_interpreter(on_32_bit_arm), "fail", "", "pip install tflite-runtime==2.14.0 'numpy<2'")
    tried = try_model(machine, software.MODEL)
    assert_is(check_answers(tried, python), "fail", "No module named")
    assert_is(check_xnnpack(tried, python), "warn", "not known")
    assert_is(check_extras(python), "ok", "installed: none; not installed: camera, mqtt, web, gpio")


LITERT, NO_TFLITE = {"ai_edge_litert.__init__": ""}, {"tflite_runtime.__init__": ABSENT}
ILLEGAL = "import os, signal; os.kill(os.getpid(), signal.SIGILL)"
GLIBC = "raise ImportError('GLIBC_2.38 not found')"
HANGING = "import time; time.sleep(60)"
OPENBLAS = "raise ImportError('libopenblas.so.0: cannot open shared object file: No such file or directory')"


@pytest.mark.parametrize(
    "modules, name, verdict, says, fix",
    [
        ({"numpy.__init__": OPENBLAS}, "numpy", "fail", "libopenblas.so.0", "apt-get install -y libopenblas0"),
        ({"numpy.__init__": "raise ImportError('foreign')"}, "numpy", "fail", "foreign", "--force-reinstall numpy"),
        (LITERT | {"ai_edge_litert.interpreter": ILLEGAL}, "interpreter", "warn", "was ended by SIGILL", "--force-reinstall"),
        (LITERT | {"ai_edge_litert.interpreter": GLIBC}, "interpreter", "warn", "GLIBC_2.38 not found", "--force-reinstall"),
        (LITERT | {"ai_edge_litert.interpreter": GLIBC} | NO_TFLITE, "interpreter", "fail", "GLIBC_2.38", "pip install"),
        (LITERT | {"ai_edge_litert.interpreter": HANGING} | NO_TFLITE, "interpreter", "fail", "within 3 s", "pip install"),
    ],
    ids=["openblas", "numpy", "sigill", "glibc", "glibc alone", "hangs"],
)  # fmt: skip
def test_a_broken_library(environment, monkeypatch, modules, name, verdict, says, fix, assert_is):
    if verdict == "warn":
        pytest.importorskip("tflite_runtime")
    if HANGING in modules.values():
        monkeypatch.setattr(check, "CHILD_TIMEOUT_S", 3)
    python = ask_python(environment(modules))
    found = {"numpy": check_numpy, "interpreter": check_interpreter}[name](python)
    assert_is(found, verdict, says, fix)


def test_numpy_2_with_tflite_runtime(sound, assert_is):
    """As a Python with both told it: the import of the interpreter fails, or the first model's loading."""
    why = "ImportError: numpy.core.multiarray failed to import"
    absent = "ModuleNotFoundError: No module named 'ai_edge_litert'"
    both = dataclasses.replace(
        sound, libraries={"numpy": "2.1.0"}, broken={"ai_edge_litert": absent, "tflite_runtime": why}
    )
    assert_is(
        check_numpy(both), "fail", "2.1.0, but tflite-runtime needs one below 2", "pip install 'numpy<2'"
    )
    assert_is(check_interpreter(both), "fail", why)
    later = dataclasses.replace(
        both, libraries={"numpy": "2.1.0", "tflite_runtime": "2.14.0"}, broken={"ai_edge_litert": absent}
    )
    assert_is(check_numpy(later), "fail", "2.1.0, but tflite-runtime", "pip install 'numpy<2'")
    with_litert = dataclasses.replace(
        sound, libraries=sound.libraries | {"numpy": "2.1.0"}, broken=both.broken
    )
    assert_is(check_numpy(with_litert), "ok", "2.1.0")


@pytest.mark.parametrize(
    "script, says",
    [
        ("exit 3", "it said nothing"),
        ("echo broken >&2; exit 1", "broken"),
        ("kill -SEGV $$", "was ended by SIGSEGV"),
    ],
)
def test_a_python_that_does_not_start(program, script, says, assert_is):
    python = ask_python(Machine(python=f"{program('python', script)}/python"))
    assert_is(check_python(python), "fail", says, "python3 -m venv")
    assert_is(
        check_python(ask_python(Machine(python="/absent/python"))), "fail", "No such file", "python3 -m venv"
    )


def test_an_old_python(sound, assert_is):
    python = dataclasses.replace(sound, version="3.9.2")
    assert_is(check_python(python), "fail", "3.9.2, 64 bit, aarch64, /home/pi/env", "bookworm")


@pytest.mark.parametrize(
    "content, says, fix",
    [(b"", "is no TFLite model", "litelens export"), (None, "is not there", "export the run again")],
)
def test_a_model_that_is_none(environment, tmp_path, content, says, fix, sound, assert_is):
    model = tmp_path / "model.tflite"
    if content is not None:
        model.write_bytes(content)
    assert_is(check_answers(try_model(environment(), model), sound), "fail", says, fix)
