"""custom.toml against what its reader takes: raspberrypi-sys-mods' init_config, and the library that it reads with."""

import json
import tomllib
from dataclasses import replace

import pytest
from cards import FIRST_BOOT, debian_python

from edge_runtime.errors import ConfigError
from fleet.provisioning.custom_toml import custom_toml
from fleet.provisioning.raspberry_pi import Wifi
from fleet.provisioning.sha512_crypt import hash_password

# github.com/RPi-Distro/raspberrypi-sys-mods, usr/lib/raspberrypi-sys-mods/init_config at 2ae1cb83: sections, their keys, and
# the types that they are passed on as. Any other key is "Unknown key" there, and any other version "Unsupported".
READ = {
    "system": {"hostname": str},
    "user": {"name": str, "password": str, "password_encrypted": bool},
    "ssh": {"ssh_import_id": list, "enabled": bool, "password_authentication": bool, "authorized_keys": list},
    "wlan": {"ssid": str, "password": str, "password_encrypted": bool, "hidden": bool, "country": str},
    "locale": {"keymap": str, "timezone": str},
}


@pytest.mark.parametrize(
    "first_boot",
    [
        FIRST_BOOT,
        replace(FIRST_BOOT, wifi=None, timezone=""),
        replace(FIRST_BOOT, authorized_keys=(), password_hash=hash_password("pass", rounds=1000)),
    ],
)
def test_only_what_the_reader_knows(first_boot):
    tables = tomllib.loads(custom_toml(first_boot))
    assert tables.pop("config_version") == 1
    for name, table in tables.items():
        for key, value in table.items():
            assert type(value) is READ[name][key], (name, key)


def test_what_is_said():
    tables = tomllib.loads(custom_toml(FIRST_BOOT))
    assert tables["system"] == {"hostname": "door-1"}
    assert tables["user"] == {"name": "ada"}  # without a password the reader locks it
    assert tables["ssh"]["enabled"] and not tables["ssh"]["password_authentication"]
    assert tables["wlan"]["password"] == FIRST_BOOT.wifi.key() and tables["wlan"]["password_encrypted"]
    assert tables["locale"] == {"timezone": "Europe/London"}


def test_a_password_alone_lets_in_by_ssh():
    tables = tomllib.loads(custom_toml(replace(FIRST_BOOT, authorized_keys=(), password_hash="$6$x$y")))
    assert tables["user"] == {"name": "ada", "password": "$6$x$y", "password_encrypted": True}
    assert tables["ssh"]["password_authentication"]


NAMES = ['My "Wi-Fi"', "café", "😀 net", "[wlan]", "a = 1", "#1", "'''", "it's", "${HOME} `id`", "x" * 32]


@pytest.mark.parametrize("name", NAMES)
def test_debians_toml_reads_what_tomllib_reads(name):
    """Bookworm's python3-toml 0.10.2, by which init_config reads, is older than TOML 1.0."""
    text = custom_toml(replace(FIRST_BOOT, wifi=Wifi(name, "correct horse", "GB")))
    assert tomllib.loads(text)["wlan"]["ssid"] == name
    ended = debian_python("import json, sys, toml; print(json.dumps(toml.loads(sys.stdin.read())))", text)
    if "No module named 'toml'" in ended.stderr:
        pytest.skip("toml is not installed: Debian's package python3-toml")
    assert json.loads(ended.stdout) == tomllib.loads(text)


@pytest.mark.parametrize("name", ["back\\slash", "semi;colon", " before", "after "])
def test_names_that_the_reader_would_write_wrong(name):
    """It writes NetworkManager's file without escapes (imager_custom, set_wlan)."""
    with pytest.raises(ConfigError, match="cannot be set up by Raspberry Pi OS bookworm"):
        custom_toml(replace(FIRST_BOOT, wifi=Wifi(name, "correct horse", "GB")))
