"""Which devices a command is for."""

import click
import pytest

from edge_runtime.errors import ConfigError
from fleet.errors import AddressError
from fleet.targets import STATE, STORE, Target, read_fleet, targets_of

FLEET = """
store = "/data/store"

[devices]
garden = "pi@garden.local"
gate = {address = "pi@[fe80::1]:2222", state = "/data/state"}

[devices.shed]
address = "shed"
store = "/own"
"""


@pytest.fixture
def fleet(tmp_path):
    def write(text: str = FLEET):
        path = tmp_path / "fleet.toml"
        path.write_text(text)
        return path

    return write


def test_a_fleet_file(fleet):
    assert read_fleet(fleet()) == (
        Target("garden", "pi@garden.local", "/data/store", STATE),
        Target("gate", "pi@[fe80::1]:2222", "/data/store", "/data/state"),
        Target("shed", "shed", "/own", STATE),
    )


WRONG = {
    "": "names no devices",
    "[devices]": "names no devices",
    "devices = 7": "names no devices",
    "[devices": "cannot read the fleet file",
    'stroe = "/x"\n[devices]\na = "a"': "unknown setting stroe",
    '[devices]\na = {adress = "a"}': "unknown setting devices.a.adress",
    '[devices]\na = {store = "/x"}': "devices.a.address is missing",
    "[devices]\na = 7": "devices.a is a int, expected an address or a table",
    "[devices]\na = {address = 7}": "devices.a.address is a int",
    '[devices]\na = {address = "a", store = "store"}': "store of a is 'store', expected an absolute path there",
    'state = "var"\n[devices]\na = "a"': "state of a is 'var'",
    '[devices]\na = "pi@x"\nb = "pi@x"': "a and b are both pi@x",
    '[devices]\na = "a"\na = "b"': "cannot read the fleet file",
}


@pytest.mark.parametrize("text, message", WRONG.items())
def test_a_fleet_file_that_cannot_be_used(fleet, text, message):
    with pytest.raises(ConfigError, match=message) as wrong:
        read_fleet(fleet(text))
    assert wrong.value.hint


def test_no_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot read the fleet file"):
        read_fleet(tmp_path / "absent.toml")


def test_two_stores_of_one_machine_are_two_devices(fleet):
    text = '[devices]\na = {address = "pi", store = "/a"}\nb = {address = "pi", store = "/b"}'
    assert len(read_fleet(fleet(text))) == 2


@pytest.mark.parametrize("address", ["-oProxyCommand=x", "a b", "pi@", "x:99999", "$(x)"])
def test_no_address(fleet, address):
    with pytest.raises(AddressError):
        read_fleet(fleet(f"[devices]\na = '{address}'"))
    with pytest.raises(AddressError):
        targets_of(address, None)


def test_addresses_of_a_command_line():
    assert targets_of("pi@a, b:22,pi@a,", None) == (
        Target("pi@a", "pi@a", STORE, STATE),
        Target("b:22", "b:22", STORE, STATE),
    )


def test_some_of_a_fleet(fleet):
    assert [target.name for target in targets_of("shed,garden", fleet())] == ["shed", "garden"]
    assert [target.name for target in targets_of(None, fleet())] == ["garden", "gate", "shed"]
    with pytest.raises(ConfigError, match="has no device 'roof'") as missing:
        targets_of("roof", fleet())
    assert "garden, gate, shed" in missing.value.hint


@pytest.mark.parametrize("devices", [None, "", " , "])
def test_nobody_is_named(devices, fleet):
    with pytest.raises(click.UsageError, match="no device is named"):
        targets_of(devices, None)
    if devices is not None:
        with pytest.raises(click.UsageError):
            targets_of(devices, fleet())
