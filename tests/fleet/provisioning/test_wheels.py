"""Wheels for another machine, by the real pip from a folder of tiny wheels; the real ones are `soak`."""

import base64
import hashlib
import importlib.util
import zipfile
from pathlib import Path

import pytest

from fleet.provisioning import wheels
from fleet.provisioning.bundle import EXTRAS
from fleet.provisioning.wheels import WheelsError, collect_wheels, constraints, own_wheel


def make_wheel(
    folder: Path, name: str, version: str, tag: str, *requires: str, extras: tuple[str, ...] = ()
) -> Path:
    """A wheel with nothing in it but what pip reads."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    info = f"{name}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {need}" for need in requires] + [
        f"Provides-Extra: {extra}" for extra in extras
    ]
    files = {
        f"{info}/METADATA": "\n".join(lines) + "\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        record = ""
        for file, text in files.items():
            archive.writestr(file, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record += f"{file},sha256={digest},{len(text)}\n"
        archive.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")
    return path


@pytest.fixture
def index(tmp_path, monkeypatch):
    """The only place where pip looks; a folder, and make_wheel into it."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("LITELENS_CACHE", str(tmp_path / "cache"))
    return lambda *what, **more: make_wheel(folder, *what, **more)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A litelens with these requirements in place of this one."""

    def make(*requires: str, extras: tuple[str, ...] = ()) -> None:
        wheel = make_wheel(tmp_path / "own", "litelens", "0.1.0", "py3-none-any", *requires, extras=extras)
        monkeypatch.setattr(wheels, "own_wheel", lambda: wheel)

    return make


def collected(machine: str, python: str, folder: Path, *extras: str) -> set[str]:
    return {"-".join(path.name.split("-")[:2]) for path in collect_wheels(machine, python, folder, extras)}


@pytest.mark.slow
def test_what_suits_that_machine_and_not_this_one(index, own, tmp_path):
    """Markers, at the top and further down; the processor; the C library; Debian's NumPy; another version where the newest
    does not go with it."""
    own(
        "numpy>=1.26; platform_machine != 'armv7l'",
        "on-arm; platform_machine == 'aarch64'",
        "on-pc; platform_machine == 'x86_64'",
        "camera[fast]; extra == 'camera'",
        "never; extra == 'web'",
        extras=("camera", "web"),
    )
    for machine in ("aarch64", "x86_64"):
        index("numpy", "1.26.4", f"cp311-cp311-manylinux_2_17_{machine}")
        index("numpy", "2.2.0", f"cp311-cp311-manylinux_2_28_{machine}")
        index("numpy", "2.2.0", f"cp313-cp313-manylinux_2_28_{machine}")
        index("numpy", "2.9.0", f"cp313-cp313-manylinux_2_99_{machine}")
    index("on_arm", "1", "cp311-cp311-manylinux_2_36_aarch64")
    index("on_arm", "2", "cp311-cp311-manylinux_2_38_aarch64")  # later than bookworm's C library
    index("on_arm", "2", "cp313-abi3-manylinux_2_38_aarch64")
    index(
        "camera",
        "1",
        "cp37-abi3-manylinux2014_aarch64",
        "numpy>=1",
        "speed; extra == 'fast'",
        extras=("fast",),
    )
    index(
        "camera",
        "2",
        "cp37-abi3-manylinux2014_aarch64",
        "numpy>=2",
        "speed; extra == 'fast'",
        extras=("fast",),
    )
    index(
        "speed", "1", "py3-none-any",
        "old; python_version < '3.12'", "win; sys_platform == 'win32'", "pc; platform_machine == 'x86_64'",
    )  # fmt: skip
    index("old", "1", "py3-none-any")
    assert collected("aarch64", "3.11", tmp_path / "a", "camera") == {
        "litelens-0.1.0", "numpy-1.26.4", "on_arm-1", "camera-1", "speed-1", "old-1",
    }  # fmt: skip
    assert collected("aarch64", "3.13", tmp_path / "b", "camera") == {
        "litelens-0.1.0", "numpy-2.2.0", "on_arm-2", "camera-2", "speed-1",
    }  # fmt: skip
    # The second time nothing is looked for.
    for file in (tmp_path / "index").iterdir():
        file.unlink()
    assert len(collected("aarch64", "3.11", tmp_path / "c", "camera")) == 6


@pytest.mark.parametrize("machine, hint", [("aarch64", "--online"), ("armv7l", "64-bit Raspberry Pi OS")])
def test_a_package_without_a_wheel_is_named(machine, hint, index, own, tmp_path):
    own("Pillow>=10.1")
    index("pillow", "11.0", "cp311-cp311-manylinux_2_28_x86_64")
    with pytest.raises(
        WheelsError, match=rf"no wheel of Pillow>=10.1 for Python 3.11 on {machine}, glibc 2.36"
    ) as found:
        collect_wheels(machine, "3.11", tmp_path / "a")
    assert hint in found.value.hint
    assert not any((tmp_path / "cache/wheels").iterdir())  # nothing half made


@pytest.mark.slow
def test_what_raspberry_pi_os_has_itself(index, own, tmp_path):
    own("lgpio>=0.2.2; platform_machine == 'aarch64' and extra == 'gpio'", extras=("gpio",))
    index("lgpio", "0.2.2.0", "cp311-cp311-manylinux_2_34_aarch64")
    assert collected("aarch64", "3.11", tmp_path / "a", "gpio") == {"litelens-0.1.0", "lgpio-0.2.2.0"}
    own("lgpio>=0.2.2; platform_machine == 'aarch64' and extra == 'gpio'", "pure", extras=("gpio",))
    index("pure", "1", "py3-none-any")
    assert collected("aarch64", "3.13", tmp_path / "b", "gpio") == {"litelens-0.1.0", "pure-1"}


def test_a_pip_that_reads_markers_of_its_own_is_found_out(tmp_path):
    """What it did not bring, as it took this machine for the other."""
    found = [
        make_wheel(tmp_path, "litelens", "0.1.0", "py3-none-any", "top"),
        make_wheel(tmp_path, "top", "1", "py3-none-any", "on-arm; platform_machine == 'aarch64'"),
    ]
    wheels._check_complete(found, wheels._system("x86_64", "3.11"), ())
    with pytest.raises(WheelsError, match="top needs on-arm.* on aarch64, and pip .* did not bring it"):
        wheels._check_complete(found, wheels._system("aarch64", "3.11"), ())


def test_no_network(own, index, tmp_path, monkeypatch):
    own("click")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # nobody listens there
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(WheelsError, match="pip cannot reach its index"):
        collect_wheels("aarch64", "3.11", tmp_path / "a")


def test_no_pip(own, index, tmp_path, monkeypatch):
    own("click")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pip" else find(name))
    with pytest.raises(WheelsError, match="has no pip") as found:
        collect_wheels("aarch64", "3.11", tmp_path / "a")
    assert "ensurepip" in found.value.hint


@pytest.mark.parametrize("machine, python", [("aarch64", "3.12"), ("riscv64", "3.11"), ("aarch64", "")])
def test_systems_that_nothing_is_known_of(machine, python, tmp_path):
    with pytest.raises(WheelsError, match=f"no wheels are collected for Python {python} on {machine}"):
        collect_wheels(machine, python, tmp_path / "a")


def test_an_extra_that_there_is_not(own, index, tmp_path):
    own(extras=("camera", "web"))
    with pytest.raises(WheelsError, match="no extra wbe") as found:
        collect_wheels("aarch64", "3.11", tmp_path / "a", ("wbe",))
    assert "camera, web" in found.value.hint


def test_constraints():
    assert constraints("3.11") == ("numpy<2",) and constraints("3.13") == ("numpy>=2.1",)
    assert constraints("3.12") == ()


def test_what_its_own_wheel_is_built_from():
    source = wheels._source_tree()
    names = {str(path.relative_to(source)) for path in wheels._files_of(source)}
    assert {"pyproject.toml", "README.md", "LICENSE", "fleet/provisioning/first-boot.sh"} <= names
    assert {"edge_runtime/__init__.py", "litelens/cli.py", "edge_runtime/web/static/live.js"} <= names
    assert not any(
        name.startswith(("tests/", "runs/", "docs/", ".")) or name.endswith(".pyc") for name in names
    )


@pytest.mark.soak
@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_the_wheels_of_a_raspberry_pi(python, tmp_path):
    """From the index: all that a device may have, for 64-bit bookworm and trixie."""
    everything = (*EXTRAS, "camera", "gpio")
    found = {
        path.name.split("-")[0].lower(): path.name
        for path in collect_wheels("aarch64", python, tmp_path, everything)
    }
    assert {
        "litelens",
        "ai_edge_litert",
        "numpy",
        "pillow",
        "click",
        "opencv_python_headless",
        "gpiozero",
    } <= found.keys()
    assert ("lgpio" in found) is (python == "3.11")
    foreign = [name for name in found.values() if not name.endswith(("-any.whl", "aarch64.whl"))]
    assert not foreign
    assert (int(found["numpy"].split("-")[1].split(".")[0]) < 2) is (python == "3.11")


@pytest.mark.soak
def test_32_bits_have_no_wheels(tmp_path):
    """PyPI has no wheels of NumPy and Pillow for armv7l; piwheels does."""
    with pytest.raises(WheelsError, match="no wheel of .* on armv7l"):
        collect_wheels("armv7l", "3.11", tmp_path)


@pytest.mark.soak
def test_its_own_wheel_has_all_its_files():
    with zipfile.ZipFile(own_wheel()) as archive:
        names = set(archive.namelist())
    assert {
        "fleet/provisioning/install.sh",
        "fleet/provisioning/first-boot.sh",
        "litelens/doctor/tiny.tflite",
    } <= names
    assert {"edge_runtime/web/static/live.html", "litelens-0.1.0.dist-info/entry_points.txt"} <= names
    assert not any(name.startswith(("tests/", "build/")) for name in names)
