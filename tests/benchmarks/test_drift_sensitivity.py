import json
import subprocess
import sys

import pytest
from PIL import Image

from benchmarks.drift_sensitivity import CHANGES


def test_pictures_as_they_are_are_no_alarm_and_a_covered_lens_is_one(tiny, coloured, tmp_path):
    for label in ("blue", "green", "red"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(40):
            Image.fromarray(coloured(label, (16, 16))).save(tmp_path / "data" / label / f"{number}.png")
    (tmp_path / "other").mkdir()
    Image.new("RGB", (16, 16), (90, 90, 90)).save(tmp_path / "other" / "grey.png")
    command = [sys.executable, "-m", "benchmarks.drift_sensitivity", tiny, "--data", tmp_path / "data"]
    command += ["--other", tmp_path / "other", "--json", tmp_path / "report.json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    kinds = json.loads((tmp_path / "report.json").read_text())["kinds"]
    assert [kind["count"] for kind in kinds] == [200, 2000] * (len(CHANGES) + 2)
    found = {kind["frames"]: kind for kind in kinds if kind["count"] == 2000}
    assert found["as they are"]["drifted"] == 0 and found["as they are"]["top1"] == 1
    assert found["lens covered"]["drifted"] == found["of other things"]["drifted"] == 1
    assert found["red and blue swapped"]["top1"] == pytest.approx(1 / 3, abs=0.15)
    assert found["of one class alone"]["other_classes"] == 1 and found["of one class alone"]["drifted"] == 0
    assert len(ended.stdout.splitlines()) == 1 + len(kinds)
