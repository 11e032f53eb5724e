import json

import pytest

from benchmarks.measuring.machine import this_machine
from benchmarks.result_file import ResultError, begin, read_result, write_result


@pytest.fixture
def written(tmp_path) -> dict:
    """The JSON of a result."""
    write_result(tmp_path / "result.json", "soak", begin(), {"model": "parts.tflite", "frames": 3})
    return json.loads((tmp_path / "result.json").read_text())


def test_what_is_written_is_read(written, tmp_path):
    result = read_result(written, tmp_path)
    assert result.kind == "soak" and result.measured == {"model": "parts.tflite", "frames": 3}
    assert result.machine == this_machine()
    assert result.created.endswith("+00:00") and result.command


def test_it_says_in_what_state_the_machine_was(tmp_path):
    files = {
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
        "sys/class/thermal/thermal_zone0/temp": "48312\n",
        "proc/stat": "cpu  9 0 9 100 0 0 0 0 0 0\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    path = tmp_path / "result.json"
    write_result(path, "soak", begin(tmp_path), {}, tmp_path)
    result = read_result(json.loads(path.read_text()), path)
    assert (result.governor, result.temperature_c, result.others_share) == ("ondemand", 48.312, 0.0)
    (tmp_path / "proc/stat").unlink()
    write_result(path, "soak", begin(tmp_path), {}, tmp_path)
    assert json.loads(path.read_text())["others_share"] is None


@pytest.mark.parametrize(
    "change, why",
    [
        ({"schema": 2}, "schema 2, this litelens reads 1"),
        ({"schema": None}, "schema None"),
        ({"created": 5}, "created is 5"),
        ({"temperature_c": "hot"}, "temperature_c is 'hot'"),
        ({"machine": "vm"}, "machine is 'vm'"),
        ({"machine": {"cpu": "Xeon"}}, "no name"),
    ],
)
def test_a_head_that_is_not_whole_is_refused(written, tmp_path, change, why):
    with pytest.raises(ResultError, match=why) as refused:
        read_result(written | change, tmp_path / "soak.json")
    assert "soak.json" in str(refused.value) and "measure again" in refused.value.hint


@pytest.mark.parametrize("name", ["kind", "command", "governor", "others_share", "machine"])
def test_a_head_that_lacks_something_is_refused(written, tmp_path, name):
    del written[name]
    with pytest.raises(ResultError, match="soak.json: "):
        read_result(written, tmp_path / "soak.json")
