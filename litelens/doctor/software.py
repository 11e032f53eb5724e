"""Python, the interpreter, NumPy, and whether they run a model together."""

import json
import shlex
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from litelens.doctor.check import Check, Machine, last_line

MODEL = Path(__file__).with_name("tiny.tflite")
"""A model file whose answer is the dominant colour, run where no other is named."""
LIBRARIES = {"ai_edge_litert": "ai-edge-litert", "tflite_runtime": "tflite-runtime"}
"""The interpreters, as edge_runtime.interpreter tries them, and their distributions."""
EXTRAS = {
    "camera": ("cv2",),
    "mqtt": ("paho.mqtt",),
    "web": ("starlette", "uvicorn"),
    "gpio": ("gpiozero",),
}
_LEAST_PYTHON = (3, 11)

_FACTS = """
import importlib.util, json, platform, sys
def there(module):
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False
extras = [name for name, needed in json.loads(sys.argv[1]).items() if all(map(there, needed))]
print(json.dumps({"version": platform.python_version(), "machine": platform.machine(), "extras": extras,
    "bits": sys.maxsize.bit_length() + 1, "prefix": sys.prefix, "base_prefix": sys.base_prefix}))
"""
_IMPORT = """
import importlib, importlib.metadata, sys
importlib.import_module(sys.argv[1])
print(importlib.metadata.version(sys.argv[2]))
"""


@dataclass(frozen=True)
class Python:
    """What an environment's Python tells of itself."""

    version: str
    machine: str
    """"aarch64", "armv7l", "x86_64"."""
    bits: int
    prefix: str
    base_prefix: str
    extras: list[str]
    """Those whose modules are there."""
    libraries: dict[str, str]
    """Version of each of numpy and LIBRARIES that can be imported."""
    broken: dict[str, str]
    """Why the others cannot."""

    @property
    def library(self) -> str | None:
        """The interpreter that litelens takes."""
        return next((name for name in LIBRARIES if name in self.libraries), None)

    def pip(self, *packages: str) -> str:
        """The command that installs packages into this environment."""
        return shlex.join([f"{self.prefix}/bin/python3", "-m", "pip", "install", *packages])


def ask_python(machine: Machine) -> Python | str:
    """Starts the environment's Python and imports what litelens needs; or why it does not start."""
    ended = machine.run(machine.python, "-P", "-c", _FACTS, json.dumps(EXTRAS))
    if ended.returncode:
        return f"{machine.python}: {_end(ended)}"
    libraries, broken = {}, {}
    for name, distribution in {"numpy": "numpy", **LIBRARIES}.items():
        module = name if name == "numpy" else f"{name}.interpreter"
        # Each in a child: one that was built for another processor ends the process that imports it.
        imported = machine.run(machine.python, "-P", "-c", _IMPORT, module, distribution)
        if imported.returncode:
            broken[name] = _end(imported)
        else:
            libraries[name] = last_line(imported.stdout)
    return Python(**json.loads(last_line(ended.stdout)), libraries=libraries, broken=broken)


def check_python(python: Python | str) -> Check:
    """Whether Python runs and is new enough."""
    if isinstance(python, str):
        fix = "make the environment anew: python3 -m venv .venv; .venv/bin/pip install litelens"
        return Check("python", "fail", python, fix)
    found = f"{python.version}, {python.bits} bit, {python.machine}, {python.prefix}"
    if tuple(map(int, python.version.split(".")[:2])) < _LEAST_PYTHON:
        return Check(
            "python", "fail", f"{found}: litelens needs 3.11", "use Raspberry Pi OS bookworm or later"
        )
    return Check("python", "ok", found)


def check_interpreter(python: Python) -> Check:
    """Whether a TFLite interpreter can be imported."""
    broken = [f"{name}: {why}" for name, why in python.broken.items() if name in LIBRARIES]
    if python.library is None:
        # LiteRT has no wheel for 32-bit Arm.
        packages = ["tflite-runtime==2.14.0", "numpy<2"] if python.machine == "armv7l" else ["ai-edge-litert"]
        return Check("interpreter", "fail", "; ".join(broken), python.pip(*packages))
    found = f"{LIBRARIES[python.library]} {python.libraries[python.library]}"
    # One that is not installed is no trouble while the other is.
    failing = [why for why in broken if "ModuleNotFoundError" not in why]
    if failing:
        return Check(
            "interpreter",
            "warn",
            f"{found}; {'; '.join(failing)}",
            python.pip("--force-reinstall", "ai-edge-litert"),
        )
    return Check("interpreter", "ok", found)


def check_numpy(python: Python) -> Check:
    """Whether NumPy can be imported and is one that the interpreter was built for."""
    version = python.libraries.get("numpy")
    if version is None:
        why = python.broken["numpy"]
        if "openblas" in why:  # piwheels' NumPy links to Debian's
            return Check("numpy", "fail", why, "sudo apt-get install -y libopenblas0-pthread")
        return Check("numpy", "fail", why, python.pip("--force-reinstall", "numpy"))
    # tflite-runtime 2.14.0 was built against NumPy 1. It breaks when it is imported, or when a model is loaded.
    only_tflite = python.library in (None, "tflite_runtime") and _installed(python, "tflite_runtime")
    if only_tflite and int(version.split(".")[0]) >= 2:
        return Check(
            "numpy", "fail", f"{version}, but tflite-runtime needs one below 2", python.pip("numpy<2")
        )
    return Check("numpy", "ok", version)


def _installed(python: Python, library: str) -> bool:
    return library in python.libraries or "ModuleNotFoundError" not in python.broken[library]


def check_extras(python: Python) -> Check:
    """Which extras are there; none is needed before it is used."""
    absent = [name for name in EXTRAS if name not in python.extras]
    found = f"installed: {', '.join(python.extras) or 'none'}"
    if absent:
        command = python.pip(f"litelens[{','.join(absent)}]")
        found += f"; not installed: {', '.join(absent)} ({command})"
    return Check("extras", "ok", found)


def try_model(machine: Machine, model: Path) -> subprocess.CompletedProcess:
    """Replays a model file's self-test in a child."""
    return machine.run(machine.python, "-P", "-m", "litelens", "verify", str(model), "--json")


def check_answers(tried: subprocess.CompletedProcess, python: Python) -> Check:
    """Whether the model's answers are those that its exporter saw."""
    try:
        test = json.loads(last_line(tried.stdout))
        found = f"off by {test['largest_difference']} output steps, {test['tolerance']} allowed"
    except ValueError:
        test, found = {"passed": False}, _end(tried)
    if test["passed"]:
        return Check("self-test", "ok", found)
    hints = [line.removeprefix("hint: ") for line in tried.stderr.splitlines() if line.startswith("hint: ")]
    return Check(
        "self-test", "fail", found, hints[-1] if hints else python.pip("--force-reinstall", "ai-edge-litert")
    )


def check_xnnpack(tried: subprocess.CompletedProcess, python: Python) -> Check:
    """Whether the interpreter computes with XNNPACK, which it says on stderr; several times faster."""
    if "XNNPACK delegate" in tried.stderr:
        return Check("XNNPACK", "ok", "in use")
    if tried.returncode:
        return Check("XNNPACK", "warn", "not known: no model could be run", "mend the self-test first")
    found = (
        f"not in use: {LIBRARIES.get(python.library, 'the interpreter')} runs this model with slower kernels"
    )
    if python.machine == "armv7l":
        return Check("XNNPACK", "warn", found, "use a 64-bit Raspberry Pi OS, for which there is LiteRT")
    return Check("XNNPACK", "warn", found, python.pip("--upgrade", "ai-edge-litert"))


def _end(ended: subprocess.CompletedProcess) -> str:
    """How a child failed: its error, or the last thing that it said."""
    if ended.returncode < 0:
        return f"was ended by {signal.Signals(-ended.returncode).name}"
    errors = [
        line.removeprefix("error: ") for line in ended.stderr.splitlines() if line.startswith("error: ")
    ]
    return errors[-1] if errors else last_line(ended.stderr)
