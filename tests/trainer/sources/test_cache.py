"""The cache: whole or not at all, once, for every label."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.errors import DataError, WriteError
from trainer.sources.cache import UnpackedPicture, cache_folder, folder_name, made_once, unpack_pictures

LABELS = ["cat", "sea/lake", "..", ".hidden", "Ölbaum 木", "a:b*?", "x" * 300, "x" * 301, "100%", "train"]


@pytest.mark.parametrize(
    "named, xdg, expected",
    [
        ("/a/b", "/c", "/a/b"),
        ("", "/c", "/c/litelens"),
        ("", "relative", "/home/someone/.cache/litelens"),
        ("", "", "/home/someone/.cache/litelens"),
        ("~/b", "", "/home/someone/b"),
    ],
)
def test_where_the_cache_is(monkeypatch, named, xdg, expected):
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("LITELENS_CACHE", named)
    monkeypatch.setenv("XDG_CACHE_HOME", xdg)
    assert cache_folder() == Path(expected)


def test_every_label_comes_back_as_it_was(encoded, cache):
    pictures = [UnpackedPicture(encoded(i), label, "") for i, label in enumerate(LABELS)]
    source = unpack_pictures("spec", "kind-1", lambda: pictures)
    assert {file.label: file.path.read_bytes() for file in source.files} == {
        picture.label: picture.content for picture in pictures
    }
    assert source.spec == "spec" and source.folder == cache / "data" / "kind-1"
    assert all(len(file.path.relative_to(source.folder).parts) == 2 for file in source.files)
    again = unpack_pictures("spec", "kind-1", lambda: pytest.fail("it is there already"))
    assert again == source


@pytest.mark.parametrize(
    "kind, suffix",
    [
        ("JPEG", ".jpg"),
        ("PNG", ".png"),
        ("GIF", ".gif"),
        ("BMP", ".bmp"),
        ("WEBP", ".webp"),
        ("TIFF", ".tif"),
    ],
)
def test_encoded_pictures_keep_their_bytes_and_get_the_ending_of_their_format(encoded, kind, suffix):
    content = encoded(3, kind)
    (file,) = unpack_pictures("spec", "kind-1", lambda: [UnpackedPicture(content, "cat", "test")]).files
    assert file.path.name == f"000000{suffix}" and file.path.read_bytes() == content and file.split == "test"


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=400))
def test_any_label_is_the_name_of_one_folder(label):
    name = folder_name(label)
    assert 0 < len(name.encode()) <= 200
    assert not set(name) & set('/\\:*?"<>|\0') and not name.startswith(".")


@given(
    st.lists(
        st.text(st.characters(exclude_categories=("Cs",)), min_size=1), min_size=2, max_size=2, unique=True
    )
)
def test_two_labels_are_two_folders(labels):
    assert folder_name(labels[0]) != folder_name(labels[1])


def test_an_error_leaves_nothing_and_the_next_begins_anew(encoded, cache):
    def break_off():
        yield UnpackedPicture(encoded(), "cat", "")
        raise DataError("the second is damaged", "download it again")

    with pytest.raises(DataError, match="the second is damaged"):
        unpack_pictures("spec", "kind-1", break_off)
    assert not [path for path in (cache / "data").iterdir() if path.is_dir()]
    assert len(unpack_pictures("spec", "kind-1", lambda: [UnpackedPicture(encoded(), "cat", "")]).files) == 1


UNPACK = """
    import sys, time
    import numpy as np
    from trainer.sources.cache import UnpackedPicture, unpack_pictures
    def pictures():
        for number in range(3000):
            yield UnpackedPicture(np.full((8, 8), number % 256, np.uint8), str(number % 10), "")
            if number == 2500 and sys.argv[1] == "wait":
                print("half", flush=True)
                time.sleep(60)
    unpack_pictures("spec", "kind-1", pictures)
    print("done")
"""


def start(*arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-c", textwrap.dedent(UNPACK), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_kill_leaves_no_half_folder_and_the_next_removes_what_it_left(cache):
    process = start("wait")
    assert process.stdout.readline() == "half\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert [path.name for path in (cache / "data").iterdir() if path.is_dir()] == [".kind-1.partial"]
    left = sum(path.is_file() for path in (cache / "data" / ".kind-1.partial").rglob("*"))
    assert 1000 < left < 3000
    again = start("")
    assert again.communicate(timeout=60)[0] == "done\n"
    assert [path.name for path in (cache / "data").iterdir() if path.is_dir()] == ["kind-1"]
    assert len(unpack_pictures("spec", "kind-1", lambda: pytest.fail("it is there")).files) == 3000


@pytest.mark.slow
def test_a_second_process_waits_for_the_first(cache):
    first, second = start(""), start("")
    said = [process.communicate(timeout=60) for process in (first, second)]
    assert [out for out, _ in said] == ["done\n", "done\n"]
    assert sum("unpacked 3,000 pictures" in err for _, err in said) == 1


def test_a_full_disk_is_an_instruction_and_leaves_nothing(cache):
    """The kernel refuses bytes past a limit, as it does on a full disk."""
    script = """
        import resource
        import numpy as np
        from edge_runtime.errors import WriteError
        from trainer.sources.cache import UnpackedPicture, unpack_pictures
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        noise = np.random.default_rng(0).integers(0, 256, (400, 400), np.uint8)
        small = UnpackedPicture(noise[:50, :50], "cat", "")
        try:
            unpack_pictures("spec", "kind-1", lambda: [small, UnpackedPicture(noise, "cat", "")])
        except WriteError as problem:
            print(problem, problem.hint)
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    assert "cannot write" in ended.stdout and "free disk space" in ended.stdout, ended.stderr
    assert not [path for path in (cache / "data").iterdir() if path.is_dir()]


def test_a_cache_that_cannot_be_is_an_instruction(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LITELENS_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(WriteError, match="cannot write") as caught:
        made_once("kind-1", lambda folder: None)
    assert "export LITELENS_CACHE=DIR" in caught.value.hint


def test_a_cache_that_somebody_changed_is_an_instruction(encoded, cache):
    source = unpack_pictures("spec", "kind-1", lambda: [UnpackedPicture(encoded(), "cat", "")])
    (index,) = [path for path in source.folder.iterdir() if path.is_file()]
    os.truncate(index, 5)
    with pytest.raises(DataError, match="is damaged") as caught:
        unpack_pictures("spec", "kind-1", lambda: [])
    assert caught.value.hint == f"unpack it anew: rm -r {source.folder}"


def test_pixels_are_written_as_they_are():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8)
    from PIL import Image

    source = unpack_pictures("s", "k", lambda: (UnpackedPicture(array, "1", "train") for array in pixels))
    for file, array in zip(source.files, pixels, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(file.path)), array)
