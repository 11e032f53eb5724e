"""A unit as `litelens service install` would write it, and a store as its model may be in."""

import grp
import os
import pwd
from pathlib import Path

import pytest

from edge_runtime.service.unit import Unit, hidden_folders
from edge_runtime.store.install import install
from edge_runtime.store.store import Store


@pytest.fixture
def unit(own_python, tiny) -> Unit:
    return Unit(
        name="litelens",
        python=own_python,
        model=tiny,
        arguments=("--camera", "0"),
        config=None,
        user=None,
        groups=("video",),
        needs=hidden_folders([own_python.parents[1], tiny.parent]),
        systemd_version=252,
    )


@pytest.fixture
def make_store(tmp_path, tiny):
    """Makes a store of the tiny model, daemon's, of a group and with a mode; returns its `current`."""
    if os.geteuid():
        pytest.skip("only root can give a folder to others")

    owner = pwd.getpwnam("daemon").pw_uid

    def make(mode: int, group: str | int = "users") -> Path:
        store = tmp_path / "store"
        store.mkdir()
        gid = group if isinstance(group, int) else grp.getgrnam(group).gr_gid
        os.chown(store, owner, gid)
        store.chmod(mode)
        install(Store(store / "tiny"), tiny, by="test")
        os.chown(store / "tiny", owner, gid)
        (store / "tiny").chmod(mode)
        return store / "tiny" / "current"

    return make
