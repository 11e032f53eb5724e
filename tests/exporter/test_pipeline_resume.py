"""An export that was killed goes on from what it had finished; one that was interrupted leaves the earlier file."""

import hashlib
import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

OPTIONS = ("--qat-epochs", 1, "--gate", "off")


def candidates(run) -> dict[str, str]:
    """{file: sha256} of what the run folder keeps."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted((run / "candidates").glob("*.tflite"))
    }


def test_a_killed_export_goes_on_where_it_was(small_run, tmp_path, litelens, export_here):
    out = tmp_path / "out" / "parts.tflite"
    out.parent.mkdir()
    command = [sys.executable, "-m", "litelens", "export", small_run, "--out", out, *OPTIONS]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
    said = []
    for line in process.stderr:
        said.append(line.strip())
        if line.startswith("qat ..."):
            process.kill()
    assert process.wait() == -9 and {"float ...", "ptq ..."} <= set(said)
    assert any(line.startswith("ptq: ") for line in said)
    assert not list(out.parent.iterdir())
    finished = candidates(small_run)
    assert [name.split("-")[0] for name in finished] == ["float", "ptq"]

    again = litelens("export", small_run, "--out", out, *OPTIONS, "--json")
    assert again.returncode == 0, again.stderr
    made = [line for line in again.stderr.splitlines() if line.endswith(" ...")]
    assert "qat ..." in made and not {"float ...", "ptq ..."} & set(made)
    first = json.loads(again.stdout)
    assert set(first["candidates"]) == {"float32", "float16", "dynamic-range", "ptq", "qat"}
    kept = candidates(small_run)
    assert finished.items() < kept.items() and len(kept) == 3

    # A third start makes nothing, and finds what the second found.
    third = export_here(small_run, out, *OPTIONS, "--json")
    assert third.exception is None
    assert not [line for line in third.stderr.splitlines() if line in ("float ...", "ptq ...", "qat ...")]
    assert candidates(small_run) == kept
    for name, found in json.loads(third.stdout)["candidates"].items():
        assert (found["confusion"], found["size_bytes"]) == (
            first["candidates"][name]["confusion"],
            first["candidates"][name]["size_bytes"],
        )

    # What was altered does not count.
    (file,) = (small_run / "candidates").glob("ptq-*.tflite")
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    mended = export_here(small_run, out, *OPTIONS)
    lines = mended.stderr.splitlines()
    assert "ptq ..." in lines and not {"float ...", "qat ..."} & set(lines)
    assert candidates(small_run) == kept


def test_ctrl_c_leaves_the_earlier_file_untouched(interrupt, small_run, tmp_path):
    out = tmp_path / "out" / "parts.tflite"
    out.parent.mkdir()
    out.write_bytes(b"the earlier model")
    # In the training, not while TensorFlow wraps layers: it drops what is raised in its own callbacks.
    code, said = interrupt("QAT  epoch 1/", "export", small_run, "--out", out)
    assert code not in (0, None) and "Traceback" not in said, said
    assert out.read_bytes() == b"the earlier model" and list(out.parent.iterdir()) == [out]
    assert [name.split("-")[0] for name in candidates(small_run)] == ["float", "ptq"]
