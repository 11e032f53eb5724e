"""Machines as their kernels show them, and pictures of the tiny model's classes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CPU = "sys/devices/system/cpu"
ZONE = "sys/class/thermal/thermal_zone"
PI_4 = {
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "proc/meminfo": "MemTotal:        1893704 kB\nMemAvailable:    1503252 kB\n",
    "proc/loadavg": "0.35 0.20 0.11 1/180 2210\n",
    "proc/stat": "cpu  4705 356 584 3699176 23060 0 277 0 0 0\ncpu0 1393280 32966 572056 13343292 6130 0 17875 0 0 0\n",
    f"{CPU}/cpu0/cpufreq/scaling_governor": "ondemand\n",
    f"{CPU}/cpufreq/policy0/scaling_cur_freq": "1800000\n",
    f"{ZONE}0/type": "cpu-thermal\n",
    f"{ZONE}0/temp": "48199\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
}
PI_5 = {
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "proc/loadavg": "3.98 1.20 0.50 5/212 3310\n",
    f"{CPU}/cpu0/cpufreq/scaling_governor": "ondemand\n",
    f"{CPU}/cpufreq/policy0/scaling_cur_freq": "1500000\n",
    f"{ZONE}0/type": "cpu-thermal\n",
    f"{ZONE}0/temp": "85100\n",
    "sys/devices/platform/axi/axi:firmware/get_throttled": "e000e\n",
}
RAPL = "sys/class/powercap/intel-rapl"
LAPTOP = {
    "proc/cpuinfo": "processor\t: 0\nmodel name\t: Some CPU @ 2.00GHz\ncpu MHz\t\t: 1100.000\n",
    "proc/loadavg": "1.52 0.90 0.60 2/900 41000\n",
    f"{CPU}/cpu0/cpufreq/scaling_governor": "powersave\n",
    f"{CPU}/cpufreq/policy0/scaling_cur_freq": "1400123\n",
    f"{CPU}/cpufreq/policy1/scaling_cur_freq": "4189456\n",
    f"{CPU}/cpufreq/policy2/scaling_cur_freq": "<unknown>\n",
    f"{ZONE}0/type": "acpitz\n",
    f"{ZONE}0/temp": "27800\n",
    f"{ZONE}1/type": "x86_pkg_temp\n",
    f"{ZONE}1/temp": "53000\n",
    # Zones of the package and of the whole system; core is a part of the package.
    f"{RAPL}:0/name": "package-0\n",
    f"{RAPL}:0/energy_uj": "262143000000\n",
    f"{RAPL}:0/max_energy_range_uj": "262143328850\n",
    f"{RAPL}:0:0/name": "core\n",
    f"{RAPL}:0:0/energy_uj": "1000000\n",
    f"{RAPL}:0:0/max_energy_range_uj": "262143328850\n",
    f"{RAPL}:1/name": "psys\n",
    f"{RAPL}:1/energy_uj": "7000000\n",
    f"{RAPL}:1/max_energy_range_uj": "262143328850\n",
}
VIRTUAL = {
    "proc/cpuinfo": "processor\t: 0\ncpu MHz\t\t: 2000.000\n\nprocessor\t: 1\ncpu MHz\t\t: 2000.000\n",
    "proc/loadavg": "0.00 0.01 0.05 1/90 512\n",
}


MACHINES = {"pi 4": PI_4, "pi 5": PI_5, "laptop": LAPTOP, "virtual": VIRTUAL, "nothing": {}}


@pytest.fixture
def machine(tmp_path):
    """Writes the /proc and /sys of one of MACHINES below a folder, with some files changed, and returns the folder."""

    def write(name: str, changes: dict[str, str] | None = None) -> Path:
        for file, content in (MACHINES[name] | (changes or {})).items():
            path = tmp_path / "root" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tmp_path / "root"

    return write


@pytest.fixture(scope="session")
def labelled(tmp_path_factory, coloured) -> Path:
    """Pictures of the tiny model's classes below test/: five, one of them in the wrong folder; two files that are none."""
    folder = tmp_path_factory.mktemp("labelled") / "colours"
    for place, label in (("blue/a", "blue"), ("green/a", "green"), ("red/a", "red"), ("red/deep/b", "blue")):
        path = folder / "test" / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(coloured(label)).save(path)
    (folder / "test" / "green" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    (folder / "test" / "red" / "notes.txt").write_text("no picture")
    (folder / "test" / "red" / ".hidden.png").write_bytes(b"not seen")
    (folder / "train" / "another").mkdir(parents=True)
    turned = Image.fromarray(np.zeros((20, 30, 3), np.uint8) + np.uint8([0, 0, 255]))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    turned.save(folder / "test" / "blue" / "turned.jpg", exif=exif)
    return folder
