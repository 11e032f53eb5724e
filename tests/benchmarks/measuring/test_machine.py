import os

import pytest

from benchmarks.measuring.machine import cpu_name, this_machine
from benchmarks.measuring.memory import peak_bytes, resident_bytes


@pytest.mark.parametrize(
    "name, cpu",
    [
        ("pi 4", "Raspberry Pi 4 Model B Rev 1.4"),
        ("pi 5", "Raspberry Pi 5 Model B Rev 1.0"),
        ("laptop", "Some CPU @ 2.00GHz"),
    ],
)
def test_the_boards_name_or_the_processors(machine, name, cpu):
    assert cpu_name(machine(name)) == cpu


def test_this_machine(machine):
    found = this_machine(machine("pi 4"))
    assert found.memory_bytes == 1893704 * 1024 and found.cores == os.cpu_count()
    assert found.name and found.architecture and found.os and found.python.startswith("3.")


def test_a_machine_that_says_nothing(machine):
    bare = this_machine(machine("nothing"))
    assert bare.memory_bytes is None and bare.cpu


def test_memory(machine):
    root = machine(
        "nothing", {"proc/self/status": "VmPeak:\t  99999 kB\nVmHWM:\t   53412 kB\nVmRSS:\t   41000 kB\n"}
    )
    assert (peak_bytes(root), resident_bytes(root)) == (53412 * 1024, 41000 * 1024)


def test_memory_where_the_kernel_shows_none(tmp_path):
    assert 10e6 < peak_bytes(tmp_path / "absent") < 100e9
    assert resident_bytes(tmp_path / "absent") >= 10e6


def test_memory_grows():
    before = resident_bytes()
    ballast = b"x" * 100_000_000
    assert resident_bytes() > before + 50_000_000 and peak_bytes() >= len(ballast)
