"""A device's id for rollouts: stable, and nobody's business."""

import pytest

from edge_runtime.updating.device_id import device_id

MACHINE = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def machine_id(tmp_path):
    path = tmp_path / "machine-id"
    path.write_text(f"{MACHINE}\n")
    return path


def test_it_is_stable_and_not_the_machines_own(tmp_path, machine_id):
    first = device_id(tmp_path, machine_id)
    assert first == device_id(tmp_path, machine_id)
    assert MACHINE not in first and len(first) == 64


def test_other_machines_have_others(tmp_path, machine_id):
    first = device_id(tmp_path, machine_id)
    machine_id.write_text("f" * 32)
    assert device_id(tmp_path, machine_id) != first


def test_the_file_wins(tmp_path, machine_id):
    (tmp_path / "device-id").write_text("door 7\n")
    assert device_id(tmp_path, machine_id) == "door 7"


@pytest.mark.parametrize("content", [None, "", "uninitialized\n"])
def test_without_a_machine_id_a_random_one_is_kept(tmp_path, machine_id, content):
    machine_id.unlink()
    if content is not None:
        machine_id.write_text(content)
    first = device_id(tmp_path, machine_id)
    assert first == device_id(tmp_path, machine_id) == (tmp_path / "device-id").read_text().strip()
    (tmp_path / "device-id").unlink()
    assert device_id(tmp_path, machine_id) != first
