import os
import stat
import subprocess
import sys
import textwrap

import pytest

from edge_runtime.errors import WriteError
from edge_runtime.whole_file import check_folders, write_together, write_whole


def test_writes_a_new_file_as_open_would(tmp_path):
    write_whole(tmp_path / "new", b"whole")
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "new").read_bytes() == b"whole"
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("new", "plain")}
    assert len(modes) == 1


def test_replaces_an_old_file(tmp_path):
    (tmp_path / "file").write_bytes(b"the old content, longer")
    write_whole(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


def a_directory(tmp_path):
    return tmp_path


def in_an_absent_folder(tmp_path):
    return tmp_path / "absent" / "file"


def below_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    return tmp_path / "file" / "below"


def with_too_long_a_name(tmp_path):
    return tmp_path / ("x" * 300)


@pytest.mark.parametrize("target", [a_directory, in_an_absent_folder, below_a_file])
def test_refuses_them_before_there_is_anything_to_write(tmp_path, target):
    path = target(tmp_path)
    with pytest.raises(WriteError) as caught:
        check_folders(None, tmp_path / "fine", path)
    assert str(path) in str(caught.value) and caught.value.hint


@pytest.mark.parametrize("target", [a_directory, in_an_absent_folder, below_a_file, with_too_long_a_name])
def test_refuses_targets_it_cannot_write(tmp_path, target):
    path = target(tmp_path)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(WriteError) as caught:
        write_whole(path, b"content")
    assert str(path) in str(caught.value) and caught.value.hint
    assert sorted(os.listdir(tmp_path)) == before


def test_a_write_that_fails_midway_leaves_the_old_file(tmp_path):
    """The kernel refuses bytes past a limit, as it does on a full disk."""
    (tmp_path / "file").write_bytes(b"old")
    script = """
        import resource, sys
        from pathlib import Path
        from edge_runtime.errors import WriteError
        from edge_runtime.whole_file import write_together, write_whole
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            write_whole(Path(sys.argv[1]), bytes(1_000_000))
        except WriteError as problem:
            print(problem, problem.hint)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "file")],
        capture_output=True,
        text=True,
    )
    assert "cannot write" in ended.stdout and "free disk space" in ended.stdout, ended.stderr
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_an_error_that_is_not_the_disks_leaves_nothing(tmp_path):
    with pytest.raises(TypeError):
        write_whole(tmp_path / "file", "text is not bytes")
    assert os.listdir(tmp_path) == []


def test_files_that_belong_together_are_written_together(tmp_path):
    (tmp_path / "other").mkdir()
    contents = {tmp_path / "model": b"new", tmp_path / "other" / "report": b"of new"}
    (tmp_path / "model").write_bytes(b"old")
    write_together(contents)
    assert {path: path.read_bytes() for path in contents} == contents
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["model", "other", "report"]


def test_nothing_to_write_writes_nothing(tmp_path):
    write_together({})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("second", [a_directory, in_an_absent_folder, below_a_file, with_too_long_a_name])
@pytest.mark.parametrize("first", [b"old", None])
def test_if_the_second_cannot_be_written_the_first_is_unchanged(tmp_path, first, second):
    path = second(tmp_path)
    if first is not None:
        (tmp_path / "model").write_bytes(first)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(WriteError) as caught:
        write_together({tmp_path / "model": b"new", path: b"of new"})
    assert str(path) in str(caught.value) and caught.value.hint
    assert sorted(os.listdir(tmp_path)) == before
    assert first is None or (tmp_path / "model").read_bytes() == first


def test_if_the_disk_is_full_at_the_second_the_first_is_unchanged(tmp_path):
    """As above: the kernel refuses bytes past a limit."""
    (tmp_path / "model").write_bytes(b"old")
    script = """
        import resource, sys
        from pathlib import Path
        from edge_runtime.errors import WriteError
        from edge_runtime.whole_file import write_together
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        folder = Path(sys.argv[1])
        try:
            write_together({folder / "model": b"new", folder / "report": bytes(1_000_000)})
        except WriteError as problem:
            print(problem)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], capture_output=True, text=True
    )
    assert f"cannot write {tmp_path / 'report'}" in ended.stdout, ended.stderr
    assert (tmp_path / "model").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["model"]
