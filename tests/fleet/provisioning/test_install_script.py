"""install.sh as text: what a shell and shellcheck say of it, and what it refuses before it does anything."""

import shutil
import subprocess
from pathlib import Path

import pytest

import fleet.provisioning

SCRIPT = Path(fleet.provisioning.__file__).with_name("install.sh")


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_any_posix_shell_reads_it(shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed: Debian's package {shell}")
    ended = subprocess.run([shell, "-n", SCRIPT], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_shellcheck_finds_no_fault():
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed: Debian's package shellcheck")
    ended = subprocess.run(["shellcheck", "--shell=sh", SCRIPT], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout


def test_it_needs_root(tmp_path):
    shutil.copy(SCRIPT, tmp_path)
    tmp_path.chmod(0o755)
    tmp_path.parent.chmod(0o755)
    user = [
        "setpriv",
        "--reuid=65534",
        "--clear-groups",
        "--inh-caps=+dac_read_search",
        "--ambient-caps=+dac_read_search",
    ]
    if shutil.which("setpriv") is None or subprocess.run([*user, "true"], capture_output=True).returncode:
        pytest.skip("only root can become another user, with Debian's package util-linux")
    ended = subprocess.run([*user, "sh", tmp_path / "install.sh"], capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: installing needs root's rights\nhint: sudo sh "), ended.stderr
