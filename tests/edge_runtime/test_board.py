import time
from pathlib import Path

import pytest

from edge_runtime.board import (
    Board,
    available_memory_bytes,
    board_model,
    temperature_c,
    throttle_flags,
    throttle_history,
    throttle_reasons,
)
from edge_runtime.live.status import BoardStatus

# As the kernel shows them: a device tree's strings end with a NUL.
PI_4 = {
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "proc/meminfo": "MemTotal:        1893704 kB\nMemFree:          902312 kB\nMemAvailable:    1503252 kB\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "48199\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
}
PI_5 = {
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "84350\n",
    "sys/devices/platform/axi/axi:firmware/get_throttled": "e0008\n",
}
LAPTOP = {
    "sys/class/thermal/thermal_zone0/type": "acpitz\n",
    "sys/class/thermal/thermal_zone0/temp": "27800\n",
    "sys/class/thermal/thermal_zone1/type": "iwlwifi_1\n",
    "sys/class/thermal/thermal_zone1/temp": "41000\n",
    "sys/class/thermal/thermal_zone2/type": "x86_pkg_temp\n",
    "sys/class/thermal/thermal_zone2/temp": "53000\n",
}


@pytest.fixture
def machine(tmp_path):
    """Writes a recorded /proc and /sys below a folder and returns it."""

    def write(files: dict[str, str]) -> Path:
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        return tmp_path

    return write


@pytest.mark.parametrize(
    "files, model, temperature, flags",
    [
        (PI_4, "Raspberry Pi 4 Model B Rev 1.4", 48.199, 0),
        (PI_5, "Raspberry Pi 5 Model B Rev 1.0", 84.35, 0xE0008),
        (LAPTOP, None, 53.0, None),
        ({}, None, None, None),
        ({"sys/firmware/devicetree/base/model": "Board\0"}, "Board", None, None),
        (PI_4 | {"sys/class/thermal/thermal_zone0/temp": "-1250\n"}, PI_4["proc/device-tree/model"][:-1], -1.25, 0),
        ({"sys/class/thermal/thermal_zone0/type": "cpu-thermal\n"}, None, None, None),
        (
            LAPTOP | {"sys/class/thermal/thermal_zone2/temp": "hot\n"}
            | {"sys/devices/platform/soc/soc:firmware/get_throttled": "what\n"},
            None, None, None,
        ),
    ],
    ids=["pi 4", "pi 5", "laptop", "nothing", "device tree in /sys", "frost", "no temp", "nonsense"],
)  # fmt: skip
def test_what_a_machine_tells(machine, files, model, temperature, flags):
    root = machine(files)
    assert (board_model(root), temperature_c(root), throttle_flags(root)) == (model, temperature, flags)
    status = Board(root, vcgencmd="/absent").status()
    assert status == BoardStatus(temperature, None if flags is None else bool(flags & 0xF))


@pytest.mark.parametrize(
    "flags, now, before",
    [
        (0, [], []),
        (0x50005, ["low voltage", "throttled"], ["low voltage", "throttled"]),
        (0x50000, [], ["low voltage", "throttled"]),
        (0x8, ["soft temperature limit"], []),
        (0x20002, ["clock capped"], ["clock capped"]),
        (0xFFFFFFF0, [], ["low voltage", "clock capped", "throttled", "soft temperature limit"]),
    ],
)
def test_the_firmwares_bits_have_names(flags, now, before):
    assert throttle_reasons(flags) == now and throttle_history(flags) == before


def test_what_happened_earlier_does_not_throttle_now(machine):
    root = machine({"sys/devices/platform/soc/soc:firmware/get_throttled": "50000\n"})
    assert Board(root).status().throttled is False


@pytest.mark.parametrize(
    "script, flags",
    [
        ("test $1 = get_throttled && echo throttled=0x50005", 0x50005),
        ("echo throttled=0x0", 0),
        ("echo 'VCHI initialization failed'; exit 255", None),
        ("exit 1", None),
        ("sleep 60", None),
    ],
)
def test_vcgencmd_is_asked_where_sys_does_not_tell(machine, vcgencmd, script, flags):
    start = time.monotonic()
    assert throttle_flags(machine({}), vcgencmd(script)) == flags
    assert time.monotonic() - start < 20


def test_sys_is_asked_first(machine, vcgencmd):
    assert throttle_flags(machine(PI_4), vcgencmd("echo throttled=0x50005")) == 0


def test_the_state_is_kept_and_read_again_when_it_is_old(machine, monkeypatch):
    root = machine(PI_4)
    board = Board(root)
    (root / "sys/class/thermal/thermal_zone0/temp").write_text("60000\n")
    assert board.status().temperature_c == 48.199
    monkeypatch.setattr(board, "_due_s", 0.0)
    end = time.monotonic() + 10
    while board.status().temperature_c != 60.0:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_program_that_hangs_holds_nobody_up(machine, vcgencmd, monkeypatch):
    board = Board(machine({}), vcgencmd("echo throttled=0x4"))
    assert board.status() == BoardStatus(None, True)
    vcgencmd("sleep 60")
    monkeypatch.setattr(board, "_due_s", 0.0)
    start = time.monotonic()
    for _ in range(10_000):
        assert board.status() == BoardStatus(None, True)
    assert time.monotonic() - start < 1.5, "the program gets 2 s"


def test_memory(machine):
    assert available_memory_bytes(machine(PI_4)) == 1503252 * 1024
    assert available_memory_bytes(machine({"proc/meminfo": "MemTotal: 1 kB\n"})) is None
    assert available_memory_bytes(Path("/absent")) is None
    assert available_memory_bytes() > 1e6
