"""A bench on another machine: over a real sshd, by a real litelens in a HOME of its own."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from ssh_server import wait_until

from benchmarks.card.json_file import read_card
from benchmarks.remote import RemoteBenchError, bench_on
from edge_runtime.errors import DataError, MissingExtraError, ModelFileError
from edge_runtime.model_file import pack, read_model_file
from fleet import files
from fleet.errors import ConnectionCut, RuntimeMissing

pytest_plugins = ["ssh_fixtures"]

ROOT = Path(__file__).parents[2]
LITELENS = f"""#!/bin/sh
export PYTHONPATH={ROOT}
exec {sys.executable} -m litelens "$@"
"""
EMPTY = {".cache/litelens", ".cache/litelens/bench"}
"""Folders that stay where nobody could remove them."""


@pytest.fixture
def far(device):
    """The device, with this working tree's litelens on its login PATH."""
    device.program("litelens", LITELENS)
    return device


@pytest.fixture
def left(device):
    """What is below the device's cache."""

    def paths() -> list[str]:
        # Not rglob, for which a folder that goes away meanwhile is an error.
        walked = os.walk(device.home / ".cache")
        found = (Path(folder, name) for folder, folders, files in walked for name in (*folders, *files))
        return sorted(str(path.relative_to(device.home)) for path in found)

    return paths


def test_a_bench_there_is_a_card_here(far, left, litelens, tiny, tmp_path):
    ended = litelens(
        "bench", tiny, "--quick", "--threads", 1, "--on", far.name, "--json", tmp_path / "card.json"
    )
    assert not ended.returncode, ended.stderr
    card = read_card(tmp_path / "card.json")
    assert (card.model.file, card.setting.threads, card.quick) == ("tiny.tflite", 1, True)
    assert f"garden: litelens {card.litelens}, {far.home}/bin/litelens\n" in ended.stderr
    assert "window 1 of 1" in ended.stderr, "the progress there"
    assert re.search("^whole ", ended.stdout, re.MULTILINE), "the table"
    assert left() == []


@pytest.mark.slow  # a whole bench more
def test_the_pictures_come_along(far, left, tiny, pictures, tmp_path):
    data = tmp_path / "my pictures"
    for label, name in (("blue", "a.png"), ("green", "b/b.png"), ("red", "c.png")):
        (data / "test" / label).mkdir(parents=True)
        shutil.copy(pictures / name, data / "test" / label)
    (data / "train").mkdir()
    shutil.copy(pictures / "a.png", data / "train" / "never-sent.png")
    card = bench_on(tiny, far.name, ["--quick", "--threads", "1"], data)
    accuracy = card.accuracy
    assert (accuracy.data, accuracy.split, accuracy.pictures, accuracy.top1) == (
        "my pictures",
        "test",
        3,
        1.0,
    )
    assert left() == []


@pytest.mark.parametrize(
    "place, said",
    [
        (".local/bin", "garden: litelens .*/.local/bin/litelens"),
        ("bin", "garden: litelens .*/bin/litelens"),
    ],
)
def test_litelens_is_found_where_people_put_it(device, tiny, capfd, place, said):
    """Noise of the login shell's profile is not taken for it. It then refuses the arguments, which is enough here."""
    folder = device.home / place
    folder.mkdir(parents=True, exist_ok=True)
    shutil.move(device.program("made", LITELENS), folder / "litelens")
    with (device.home / ".profile").open("a") as profile:
        profile.write("echo /welcome/to/the/garden; echo and mind the gnomes >&2\n")
    with pytest.raises(RemoteBenchError, match="does not take these arguments: .*--no-such-option"):
        bench_on(tiny, device.name, ["--no-such-option"])
    assert re.search(said, capfd.readouterr().err)


def test_a_machine_without_litelens_is_told_how_to_get_it(device, left, tiny):
    if Path("/opt/litelens/venv").exists():
        pytest.skip("this machine has a litelens in /opt/litelens/venv")
    with pytest.raises(RuntimeMissing, match="garden has no litelens") as missing:
        bench_on(tiny, device.name, [])
    assert missing.value.hint == f"litelens provision {device.name}"
    assert left() == []


def test_a_litelens_that_does_not_start_is_named(device, tiny):
    device.program("litelens", "#!/bin/sh\necho no module named click >&2\nexit 1\n")
    with pytest.raises(RuntimeMissing, match="bin/litelens on garden does not start: no module named click"):
        bench_on(tiny, device.name, [])


def test_a_bench_that_fails_there_fails_here_with_its_hint(far, left, tiny, capfd):
    with pytest.raises(
        RemoteBenchError, match="litelens bench on garden ended with status 1: .*tpu"
    ) as failed:
        bench_on(tiny, far.name, ["--quick", "--device", "tpu"])
    assert "--device edgetpu:usb" in failed.value.hint
    assert "error:" not in capfd.readouterr().err, "it is said once"
    assert left() == []


def test_the_model_for_an_edge_tpu_comes_along(device, left, tiny, tmp_path):
    """The litelens there only lists what lies beside the model."""
    shutil.copy(tiny, tmp_path / "parts.tflite")
    shutil.copy(tiny, tmp_path / "parts_edgetpu.tflite")
    script = '#!/bin/sh\n[ $1 = --version ] && exec echo litelens, version 0.1.0\necho $(ls "${2%/*}") >&2; exit 1\n'
    device.program("litelens", script)
    with pytest.raises(RemoteBenchError, match="status 1: parts.tflite parts_edgetpu.tflite$"):
        bench_on(tmp_path / "parts.tflite", device.name, [])
    assert left() == []


def test_a_model_that_the_interpreter_there_refuses(far, left, tiny, tmp_path):
    """It is a model file, here and there, but what is in it is cut off."""
    whole = read_model_file(tiny)
    refused = tmp_path / "it's refusé.tflite"
    refused.write_bytes(pack(tiny.read_bytes()[:400] + bytes(400), whole.labels, whole.manifest))
    with pytest.raises(RemoteBenchError, match="ended with status 1: cannot load it's refusé.tflite"):
        bench_on(refused, far.name, ["--quick"])
    assert left() == []


@pytest.mark.parametrize(
    "schema, version, message",
    [
        ("2", "9.9.9", "litelens 9.9.9 made on garden cannot be read here.*newer litelens.*schema 2"),
        ("0", "0.0.1", "litelens 0.0.1 made on garden cannot be read here.*schema 0"),
        ("null", "0.0.1", "litelens 0.0.1 made on garden cannot be read here"),
    ],
)
def test_a_card_of_another_version_is_refused_with_the_reason(
    device, left, tiny, capfd, schema, version, message
):
    """The litelens there is not of this version, so it is a script: the last argument is the card's file."""
    script = f"""#!/bin/sh
    if [ "$1" = --version ]; then echo litelens, version {version}; exit; fi
    shift $(($# - 1))
    echo '{{"schema": {schema}}}' > "$1"
    """
    device.program("litelens", script)
    with pytest.raises(RemoteBenchError, match=message) as refused:
        bench_on(tiny, device.name, [])
    assert "the same version" in refused.value.hint
    assert f"litelens {version}, {device.home}/bin/litelens; here it is" in capfd.readouterr().err
    assert left() == []


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_bench_ends_there_and_leaves_nothing(far, left, tiny, interrupt, ssh_server, by):
    """Ctrl-C waits for the far side; after a kill it ends by itself."""
    code, said = interrupt("window 1 of", "bench", tiny, "--on", far.name, by=by)
    assert code == (1 if by == signal.SIGINT else -by), said
    wait_until(lambda: not ssh_server.commands("-m litelens"), "the bench there ends")
    wait_until(lambda: set(left()) <= EMPTY, "nothing is left")


def test_a_cut_bench_says_so_and_leaves_nothing(far, left, tiny, ssh_server):
    command = [sys.executable, "-m", "litelens", "bench", tiny, "--on", far.name]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    for line in process.stderr:
        if "window 1 of" in line:
            break
    ssh_server.cut()
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    assert "error: the connection to garden was cut" in said
    assert "run the same command again" in said
    wait_until(lambda: not ssh_server.commands("-m litelens"), "the bench there ends")
    wait_until(lambda: set(left()) <= EMPTY, "nothing is left")


def test_a_cut_upload_is_continued_by_the_next_bench(far, left, tiny, ssh_server, tmp_path, monkeypatch):
    """A model of 8 MB more, in an associated file that a device does not read."""
    model = Path(shutil.copy(tiny, tmp_path / "large.tflite"))
    with zipfile.ZipFile(model, "a") as archive:
        archive.writestr("ballast", random.Random(0).randbytes(8_000_000))
    chunks = files._chunks

    def cut_in_the_middle(file, start, progress):
        for number, chunk in enumerate(chunks(file, start, progress)):
            yield chunk
            if number == 8:
                wait_until(
                    lambda: [path for path in left() if path.endswith(".partial")], "a part has arrived"
                )
                ssh_server.cut()

    monkeypatch.setattr(files, "_chunks", cut_in_the_middle)
    with pytest.raises(ConnectionCut):
        bench_on(model, far.name, [])
    wait_until(lambda: not ssh_server.commands("cat >"), "the far side has ended too")
    (part,) = (far.home / path for path in left() if path.endswith(".partial"))
    there = part.stat().st_size
    assert there

    sent = []

    def counted(file, start, progress):
        sent.append(start)
        return chunks(file, start, progress)

    monkeypatch.setattr(files, "_chunks", counted)
    with pytest.raises(RemoteBenchError, match="does not take these arguments"):
        bench_on(model, far.name, ["--no-such-option"])
    assert sent == [there]
    assert left() == []


def test_what_a_cut_left_is_gone_after_a_day(device, left, tiny):
    device.program("litelens", "#!/bin/sh\necho litelens, version 0.1.0\n[ $1 = --version ]\n")
    cache = device.home / ".cache" / "litelens" / "bench"
    for name in ("of-yesterday", "of-now"):
        (cache / name).mkdir(parents=True)
        (cache / name / "model.tflite").touch()
    os.utime(cache / "of-yesterday", (0, 0))
    with pytest.raises(RemoteBenchError):
        bench_on(tiny, device.name, [])
    assert [path.name for path in cache.iterdir()] == ["of-now"]


def test_nothing_is_sent_of_what_cannot_be_used(device, tiny, pictures, tmp_path):
    (tmp_path / "damaged.tflite").write_bytes(b"no model")
    with pytest.raises(ModelFileError):
        bench_on(tmp_path / "damaged.tflite", device.name, [])
    with pytest.raises(DataError, match="do not match the model"):
        bench_on(tiny, device.name, [], data=pictures)
    assert not (device.home / ".cache").exists()


def test_without_asyncssh_the_extra_is_named(tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    for module in [name for name in sys.modules if name.startswith("fleet.")]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(MissingExtraError, match="--on needs asyncssh") as missing:
        bench_on(tiny, "pi@garden", [])
    assert missing.value.hint == "pip install 'litelens[fleet]'"
