"""Who may write the store of the model that a service runs; told before the service is written."""

import grp

import pytest

from edge_runtime.service.store_access import StoreAccess
from edge_runtime.service.unit import ServiceError

OWNER = "daemon"
"""Of the store that make_store makes."""
OTHER = "games"
GROUP = "users"


@pytest.mark.parametrize(
    "mode, group, user, groups",
    [
        (0o2775, GROUP, None, (GROUP,)),
        (0o2770, GROUP, OTHER, (GROUP,)),
        (0o755, GROUP, OWNER, ()),
        (0o777, GROUP, None, ()),
        (0o777, GROUP, OTHER, ()),
        (0o2775, 54321, None, ("54321",)),
    ],
    ids=[
        "systemd's user",
        "a user",
        "the owner",
        "everybody's",
        "everybody's, a user",
        "a group without a name",
    ],
)
def test_the_groups_that_a_service_needs(make_store, mode, group, user, groups):
    current = make_store(mode, group)
    assert StoreAccess.of(current, "litelens", user) == StoreAccess(current.parents[1], groups)


@pytest.mark.parametrize(
    "mode, group, user, message",
    [
        (0o755, GROUP, None, "the user that systemd makes for the service could not write into .*/store"),
        (0o755, GROUP, OTHER, "the user games could not write into .*/store"),
        (0o2775, "root", None, "could not write"),
    ],
    ids=["systemd's user", "a user", "root's group"],
)
def test_a_store_that_the_service_could_not_write(make_store, mode, group, user, message):
    current = make_store(mode, group)
    with pytest.raises(ServiceError, match=message) as refused:
        StoreAccess.of(current, "litelens", user)
    assert f"sudo install -d -m 2775 -g litelens_store {current.parents[1]}" in refused.value.hint


@pytest.mark.parametrize("name", ["litelens", "litelens-door"])
def test_a_group_of_the_services_name(make_store, monkeypatch, name):
    """No such group is made on this machine: its name is that of group 54321."""
    current = make_store(0o2775, 54321)
    monkeypatch.setattr(grp, "getgrgid", lambda gid: grp.struct_group((name, "x", gid, [])))
    with pytest.raises(ServiceError, match=f"open to the group {name}, which is the name of a service's own"):
        StoreAccess.of(current, "litelens", None)
    assert StoreAccess.of(current, "litelens", OTHER).groups == (name,), "systemd makes nothing for a user"


def test_any_other_file_needs_none(tiny, tmp_path):
    (tmp_path / "current").symlink_to(tiny)
    for path in (tiny, tmp_path / "current"):
        assert StoreAccess.of(path, "litelens", None) is None
