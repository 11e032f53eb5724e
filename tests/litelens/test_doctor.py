import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge_runtime.interpreter import LIBRARIES
from litelens.doctor import cameras, check, software
from litelens.doctor.cameras import Capability, check_cameras, check_picamera2, check_video_group
from litelens.doctor.check import Check, Machine
from litelens.doctor.cli import examine
from litelens.doctor.edge_tpu import check_edge_tpu
from litelens.doctor.hardware import check_clock, check_disk, check_memory, check_power, check_temperature
from litelens.doctor.software import (
    Python,
    ask_python,
    check_answers,
    check_extras,
    check_interpreter,
    check_numpy,
    check_python,
    check_xnnpack,
    try_model,
)

ROOT = Path(__file__).parents[2]
SOUND = Python(
    version="3.11.2", machine="aarch64", bits=64, prefix="/home/pi/env", base_prefix="/usr", extras=["camera"],
    libraries={"numpy": "1.26.4", "ai_edge_litert": "2.3.0"},
    broken={"tflite_runtime": "ModuleNotFoundError: No module named 'tflite_runtime'"},
)  # fmt: skip
"""A Raspberry Pi's."""
HERE = Path(sys.prefix, "lib", f"python3.{sys.version_info.minor}", "site-packages")
ABSENT = "raise ModuleNotFoundError(f'No module named {__name__!r}', name=__name__)"


@pytest.fixture(scope="module")
def bare_environment(tmp_path_factory) -> Path:
    """A virtual environment with nothing installed."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder


@pytest.fixture
def environment(bare_environment, monkeypatch):
    """Makes a machine whose Python sees stand-ins for some modules, and this environment's after them, or nothing else."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    site = bare_environment / "lib" / HERE.parent.name / "site-packages"
    written = []

    def make(modules: dict[str, str] | None = None, others: bool = True) -> Machine:
        files = {f"{module.replace('.', '/')}.py": code for module, code in (modules or {}).items()}
        files["others.pth"] = f"{ROOT}\n{HERE}\n" if others else f"{ROOT}\n"
        for name, content in files.items():
            written.append(site / name)
            (site / name).parent.mkdir(parents=True, exist_ok=True)
            (site / name).write_text(content)
        return Machine(python=str(bare_environment / "bin" / "python"))

    yield make
    for path in written:
        path.unlink(missing_ok=True)


@pytest.fixture
def machine(tmp_path):
    """Makes a machine whose files are these, below a folder of its own; a value of None is an empty folder."""

    def make(files: dict[str, str | None] | None = None, **fields) -> Machine:
        for name, content in (files or {}).items():
            path = tmp_path / "root" / name
            if content is None:
                path.mkdir(parents=True, exist_ok=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
        (tmp_path / "root").mkdir(exist_ok=True)
        return Machine(root=tmp_path / "root", **{"path": "/absent", **fields})

    return make


@pytest.fixture
def program(tmp_path):
    """A program of this name, which does what a shell's script says; returns its folder."""

    def write(name: str, script: str) -> str:
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path.parent)

    return write


def assert_is(found: Check, verdict: str, says: str, fix: str = "") -> None:
    assert found.verdict == verdict and says in found.found, found
    assert fix in found.fix and bool(found.fix) == (verdict != "ok"), found


def test_the_doctor_knows_the_interpreters_that_the_runtime_tries():
    assert {name: distribution for name, (_, distribution) in LIBRARIES.items()} == software.LIBRARIES


def test_the_doctors_model_is_the_tests_tiny_one(tiny):
    assert software.MODEL.read_bytes() == tiny.read_bytes()


def test_a_sound_environment(environment):
    machine = environment()
    python = ask_python(machine)
    assert_is(check_python(python), "ok", f"{sys.version_info[0]}.{sys.version_info[1]}.")
    assert_is(check_numpy(python), "ok", "1." if "tflite_runtime" in python.libraries else "")
    assert_is(check_interpreter(python), "ok", "ai-edge-litert")
    tried = try_model(machine, software.MODEL)
    assert_is(check_answers(tried, python), "ok", "off by 0 output steps")
    assert_is(check_xnnpack(tried, python), "ok", "in use")


def test_int8_models_without_xnnpack(environment):
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


def test_nothing_is_installed(environment):
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
def test_a_broken_library(environment, monkeypatch, modules, name, verdict, says, fix):
    if verdict == "warn":
        pytest.importorskip("tflite_runtime")
    if HANGING in modules.values():
        monkeypatch.setattr(check, "CHILD_TIMEOUT_S", 3)
    python = ask_python(environment(modules))
    found = {"numpy": check_numpy, "interpreter": check_interpreter}[name](python)
    assert_is(found, verdict, says, fix)


def test_numpy_2_with_tflite_runtime():
    """As a Python with both told it: the import of the interpreter fails, or the first model's loading."""
    why = "ImportError: numpy.core.multiarray failed to import"
    absent = "ModuleNotFoundError: No module named 'ai_edge_litert'"
    both = dataclasses.replace(
        SOUND, libraries={"numpy": "2.1.0"}, broken={"ai_edge_litert": absent, "tflite_runtime": why}
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
        SOUND, libraries=SOUND.libraries | {"numpy": "2.1.0"}, broken=both.broken
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
def test_a_python_that_does_not_start(program, script, says):
    python = ask_python(Machine(python=f"{program('python', script)}/python"))
    assert_is(check_python(python), "fail", says, "python3 -m venv")
    assert_is(
        check_python(ask_python(Machine(python="/absent/python"))), "fail", "No such file", "python3 -m venv"
    )


def test_an_old_python():
    python = dataclasses.replace(SOUND, version="3.9.2")
    assert_is(check_python(python), "fail", "3.9.2, 64 bit, aarch64, /home/pi/env", "bookworm")


@pytest.mark.parametrize(
    "content, says, fix",
    [(b"", "is no TFLite model", "litelens export"), (None, "is not there", "export the run again")],
)
def test_a_model_that_is_none(environment, tmp_path, content, says, fix):
    model = tmp_path / "model.tflite"
    if content is not None:
        model.write_bytes(content)
    assert_is(check_answers(try_model(environment(), model), SOUND), "fail", says, fix)


PI = {"proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0"}
DEBIANS = PI | {"usr/lib/python3/dist-packages/picamera2/__init__.py": ""}
HIDDEN, SEEN = (f"include-system-site-packages = {value}" for value in ("false", "true"))
NUMPY_ABI = "echo 'ValueError: numpy.dtype size changed, may indicate binary incompatibility' >&2; exit 1"
NO_LIBCAMERA = "echo no libcamera >&2; exit 1"


@pytest.mark.parametrize(
    "files, script, config, base, verdict, says, fix",
    [
        ({}, "exit 1", "", "/usr", "ok", "no Raspberry Pi", ""),
        (PI, "exit 0", "", "/usr", "ok", "can be imported", ""),
        (PI, "exit 1", "", "/usr", "warn", "not installed", "apt-get install -y python3-picamera2"),
        (DEBIANS, "exit 1", HIDDEN, "/usr", "warn", "does not see", "sed -i"),
        (DEBIANS, NUMPY_ABI, SEEN, "/usr", "warn", "numpy.dtype", "pip install 'numpy<2'"),
        (DEBIANS, NO_LIBCAMERA, SEEN, "/opt", "warn", "/opt's Python", "/usr/bin/python3 -m venv --system-site-packages"),
        (DEBIANS, NO_LIBCAMERA, SEEN, "/usr", "warn", "no libcamera", "--reinstall"),
    ],
    ids=["no pi", "sound", "absent", "hidden", "numpy", "other python", "broken"],
)  # fmt: skip
def test_picamera2(machine, program, tmp_path, files, script, config, base, verdict, says, fix):
    (tmp_path / "pyvenv.cfg").write_text(f"home = /usr/bin\n{config}\nversion = 3.11.2\n")
    python = dataclasses.replace(SOUND, prefix=str(tmp_path), base_prefix=base)
    found = check_picamera2(machine(files, python=f"{program('python', script)}/python"), python)
    assert_is(found, verdict, says, fix)


def test_the_fix_for_a_hidden_picamera2_mends_it(machine, program, tmp_path):
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    python = dataclasses.replace(SOUND, prefix=str(tmp_path))
    found = check_picamera2(machine(DEBIANS, python=f"{program('python', 'exit 1')}/python"), python)
    subprocess.run(["sh", "-c", found.fix], check=True)
    assert (tmp_path / "pyvenv.cfg").read_text() == "home = /usr/bin\ninclude-system-site-packages = true\n"


def capability(driver: str, capabilities: int, own: int, card: str = "HD Webcam C270") -> bytes:
    return cameras._CAPABILITY.pack(driver.encode(), card.encode(), b"usb-1", 0x60C12, capabilities, own)


@pytest.mark.parametrize(
    "answer, captures",
    [
        (capability("uvcvideo", 0x84A00001, 0x04200001), True),
        (capability("uvcvideo", 0x84A00001, 0x04A00000), False),
        (capability("old", 0x00000001, 0), True),
        (capability("unicam", 0x85A00001, 0x05200001), True),
        (capability("bcm2835-codec", 0x84204000, 0x04204000), False),
        (capability("bcm2835-isp", 0x84200001, 0x04200001), False),
        (capability("rkvdec", 0x84001000, 0x04009000), False),
        (capability("imx-capture", 0x84001000, 0x04001000), True),
        (bytes(104), False),
        (b"\xff" * 104, False),
    ],
    ids=["webcam", "its metadata", "old driver", "csi", "codec", "isp", "m2m", "mplane", "zeros", "ones"],
)  # fmt: skip
def test_capabilities(answer, captures):
    assert Capability.of(answer).captures is captures


def test_the_ioctl_is_the_kernels():
    assert cameras._QUERYCAP == 0x80685600 and cameras._CAPABILITY.size == 104


def test_cameras(machine, monkeypatch):
    """No V4L2 device can be made here, so what the kernel would answer is given."""
    there = machine(
        dict.fromkeys(("dev/video0", "dev/video1", "dev/video2", "dev/video10", "dev/video11"), "")
    )

    def ask(node: str) -> Capability:
        answers = {
            "video0": Capability("uvcvideo", "HD Webcam C270", True),
            "video1": Capability("uvcvideo", "HD Webcam C270", False),
            "video2": Capability("unicam", "unicam", True),
            "video10": Capability("bcm2835-codec", "decode", False),
        }
        if Path(node).name not in answers:
            raise OSError(19, "No such device")
        return answers[Path(node).name]

    monkeypatch.setattr(cameras, "_ask", ask)
    found = check_cameras(there)
    assert_is(found, "ok", "/dev/video0 is HD Webcam C270; /dev/video2 is a camera on the board's connector")
    assert "video1" not in found.found


def test_cameras_that_may_not_be_opened(machine, monkeypatch):
    def refuse(node: str) -> Capability:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cameras, "_ask", refuse)
    found = check_cameras(machine({"dev/video0": ""}, uid=1))
    assert_is(found, "warn", "daemon may not open /dev/video0", "sudo usermod -aG video daemon")


@pytest.mark.parametrize(
    "files, fix", [({}, "ls /dev/video*"), (PI, "rpicam-hello"), ({"dev/video0": "a file"}, "ls")]
)
def test_no_cameras(machine, files, fix):
    assert_is(check_cameras(machine(files)), "warn", "none", fix)


@pytest.mark.parametrize(
    "group, uid, groups, verdict, says, fix",
    [
        ("video:x:44:anna", 0, (0,), "ok", "root", ""),
        ("video:x:44:anna", 1, (1, 44), "ok", "daemon is in it", ""),
        ("video:x:44:anna,daemon", 1, (1,), "warn", "since this login began", "log out"),
        ("video:x:44:anna", 1, (1,), "warn", "daemon is not in it", "sudo usermod -aG video daemon"),
        ("video:x:44:", 4_000_000, (), "warn", "4000000 is not in it", "usermod"),
        ("audio:x:29:", 1, (1,), "ok", "not on this machine", ""),
        ("video:x\nnonsense\n\n", 1, (1,), "ok", "not on this machine", ""),
    ],
)
def test_video_group(machine, group, uid, groups, verdict, says, fix):
    there = machine({"etc/group": f"root:x:0:\n{group}\n"}, uid=uid, groups=groups)
    assert_is(check_video_group(there), verdict, says, fix)


USB = {"sys/bus/usb/devices/1-1/idVendor": "1a6e\n", "sys/bus/usb/devices/1-1/idProduct": "089a\n"}
USB_READY = {"sys/bus/usb/devices/2-1/idVendor": "18d1\n", "sys/bus/usb/devices/2-1/idProduct": "9302\n"}
PCI = {
    "sys/bus/pci/devices/0000:01:00.0/vendor": "0x1ac1\n",
    "sys/bus/pci/devices/0000:01:00.0/device": "0x089a\n",
}
USB_RULE = {"lib/udev/rules.d/60-libedgetpu1-std.rules": ""}


@pytest.mark.parametrize(
    "files, python, verdict, says, fix",
    [
        ({}, "exit 1", "ok", "no Coral seen", ""),
        ({"sys/bus/usb/devices/1-1/idVendor": "1a6e\n"}, "exit 1", "ok", "no Coral seen", ""),
        (USB | USB_RULE, "exit 0", "ok", "a Coral on USB, libedgetpu and its udev rule", ""),
        (
            USB_READY | {"etc/udev/rules.d/99-edgetpu-accelerator.rules": ""},
            "exit 0",
            "ok",
            "a Coral on USB",
            "",
        ),
        (USB, "exit 0", "warn", "no udev rule", "--reinstall -y libedgetpu1-std"),
        (
            USB | USB_RULE,
            "kill -ABRT $$",
            "warn",
            "ended with SIGABRT",
            "install --reinstall -y libedgetpu1-std",
        ),
        (PCI, "exit 0", "warn", "no /dev/apex_0", "gasket-dkms"),
        (PCI | {"dev/apex_0": ""}, "exit 0", "warn", "no udev rule", "65-apex.rules"),
        (
            PCI | {"dev/apex_0": "", "etc/udev/rules.d/65-apex.rules": ""},
            "exit 0",
            "ok",
            "a Coral on PCI",
            "",
        ),
    ],
)
def test_edge_tpu(machine, program, files, python, verdict, says, fix):
    there = machine(files, python=f"{program('python', python)}/python")
    assert_is(check_edge_tpu(there), verdict, says, fix)


def test_a_coral_without_its_library(machine):
    found = check_edge_tpu(machine(USB | USB_RULE, python=sys.executable))
    if found.verdict == "ok":
        pytest.skip("libedgetpu is installed here")
    assert_is(
        found, "warn", "libedgetpu.so.1: cannot open shared object file", "apt-get install -y libedgetpu1-std"
    )


def zone(temperature: str) -> dict[str, str]:
    folder = "sys/class/thermal/thermal_zone0"
    return {f"{folder}/type": "cpu-thermal\n", f"{folder}/temp": temperature}


@pytest.mark.parametrize(
    "files, verdict, says",
    [
        ({}, "ok", "not told"),
        (PI | zone("48199\n"), "ok", "Raspberry Pi 4 Model B Rev 1.5, 48.2 °C"),
        (zone("79999\n"), "ok", "80.0 °C"),
        (zone("80000\n"), "warn", "80.0 °C"),
        (zone("what\n"), "ok", "not told"),
    ],
)
def test_temperature(machine, files, verdict, says):
    assert_is(check_temperature(machine(files)), verdict, says, "a fan" if verdict == "warn" else "")


@pytest.mark.parametrize(
    "script, verdict, says, fix",
    [
        ("echo throttled=0x0", "ok", "never throttled", ""),
        (
            "echo throttled=0x50000",
            "warn",
            "now: nothing; since the start: low voltage, throttled",
            "power supply",
        ),
        ("echo throttled=0x80008", "warn", "now: soft temperature limit", "a fan"),
        ("exit 1", "ok", "not told", ""),
    ],
)
def test_power(machine, program, script, verdict, says, fix):
    assert_is(check_power(machine(path=program("vcgencmd", script))), verdict, says, fix)


def test_power_without_vcgencmd(machine):
    assert_is(check_power(machine()), "ok", "not told")
    throttled = {"sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n"}
    assert_is(check_power(machine(throttled)), "warn", "now: low voltage, throttled", "power supply")


@pytest.mark.parametrize("kilobytes, verdict", [("1503252", "ok"), ("102400", "ok"), ("102399", "warn")])
def test_memory(machine, kilobytes, verdict):
    there = machine({"proc/meminfo": f"MemTotal: 1893704 kB\nMemAvailable: {kilobytes} kB\n"})
    assert_is(check_memory(there), verdict, f"{int(kilobytes) >> 10} MB available")
    assert_is(check_memory(machine({"proc/meminfo": ""})), "ok", "not told")


@pytest.mark.parametrize(
    "options, verdict, says",
    [
        ("size=1g", "ok", "1024 MB free"),
        ("size=100m", "warn", "100 MB free"),
        ("size=1m", "fail", "1 MB free"),
        ("size=1g,ro", "fail", "read-only"),
    ],
)
def test_disk(tmpfs, options, verdict, says):
    disk = tmpfs(options.removesuffix(",ro"))
    (disk / "var/lib").mkdir(parents=True)
    if options.endswith(",ro"):
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    assert_is(check_disk(Machine(root=disk)), verdict, says)


def test_no_disk(machine):
    assert_is(check_disk(machine()), "fail", "No such file or directory", "mkdir")


@pytest.mark.parametrize(
    "now, script, verdict, says",
    [
        (0, "echo yes", "fail", "1970-01-01 00:00:00 UTC, which is in the past"),
        (1_800_000_000, "echo yes", "ok", "2027-01-15 08:00:00 UTC, synchronised"),
        (1_800_000_000, "echo no", "warn", "not synchronised"),
        (1_800_000_000, "echo 'Failed to connect to bus' >&2; exit 1", "ok", "is not told"),
    ],
)
def test_clock(machine, program, now, script, verdict, says):
    fix = "timedatectl set-ntp true" if verdict != "ok" else ""
    assert_is(check_clock(machine(path=program("timedatectl", script)), now), verdict, says, fix)


def test_clock_without_timedatectl(machine):
    assert_is(check_clock(machine(), 1_800_000_000), "ok", "is not told")


EVERY_FILE = (
    "proc/device-tree/model", "proc/meminfo", "etc/group", "dev/video0", "sys/class/thermal/thermal_zone0/type",
    "sys/class/thermal/thermal_zone0/temp", "sys/bus/usb/devices/1-1/idVendor", "sys/bus/pci/devices/0/vendor",
    "sys/devices/platform/soc/soc:firmware/get_throttled", "var/lib",
)  # fmt: skip


@pytest.mark.parametrize(
    "content", [None, "", "\0", "MemAvailable:", "MemAvailable: x kB", "cpu", "\udcff" * 9, "9" * 5000]
)
def test_no_machine_is_too_odd(machine, content):
    """Every file that a check reads is a folder, empty, or nonsense: no check raises."""
    there = machine(dict.fromkeys(EVERY_FILE) if content is None else {}, python="/absent/python")
    for name in EVERY_FILE if content is not None else ():
        path = there.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(content))
    checks = examine(there, Path("/absent/model"))
    assert [check.name for check in checks][0] == "python" and len(checks) == 9
    assert all(check.found for check in checks)


def test_a_program_that_hangs_is_ended(machine, program, monkeypatch):
    monkeypatch.setattr(check, "CHILD_TIMEOUT_S", 0.5)
    start = time.monotonic()
    found = check_clock(machine(path=program("timedatectl", "exec sleep 60")), 1_800_000_000)
    assert_is(found, "ok", "is not told")
    assert time.monotonic() - start < 20


def test_the_command(litelens):
    ended = litelens("doctor")
    verdicts = [line.split()[0] for line in ended.stdout.splitlines() if not line.startswith(" ")]
    assert set(verdicts) <= {"ok", "warn", "fail"} and len(verdicts) == 15
    assert ended.returncode == ("fail" in verdicts)


def test_the_command_in_json_with_a_bad_model(litelens, tmp_path):
    (tmp_path / "bad.tflite").write_bytes(b"no model")
    ended = litelens("doctor", tmp_path / "bad.tflite", "--json")
    told = json.loads(ended.stdout)
    found = {check["name"]: check for check in told["checks"]}
    assert not told["passed"] and ended.returncode == 1
    assert found["self-test"]["verdict"] == "fail" and "is no TFLite model" in found["self-test"]["found"]
    assert "error: failed: " in ended.stderr and "hint: " in ended.stderr and "Traceback" not in ended.stderr


def test_numpy_is_not_needed_to_say_that_it_is_missing():
    script = (
        "import sys\nsys.modules['numpy'] = None\nfrom litelens.cli import main\nmain(['doctor', '--help'])"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
