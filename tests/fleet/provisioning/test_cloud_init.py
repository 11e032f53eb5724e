"""user-data and network-config as the real cloud-init takes them: Debian 12's 22.4."""

import json
import shutil
import subprocess
from dataclasses import replace

import pytest
from cards import FIRST_BOOT, debian_python

from fleet.provisioning.cloud_init import network_config, network_config_later, user_data, user_data_later
from fleet.provisioning.raspberry_pi import Wifi
from fleet.provisioning.sha512_crypt import hash_password

BY_PASSWORD = replace(
    FIRST_BOOT, authorized_keys=(), password_hash=hash_password("pass", rounds=1000), timezone=""
)


@pytest.fixture(scope="module")
def cloud_init():
    if shutil.which("cloud-init") is None:
        pytest.skip("cloud-init is not installed: Debian's package cloud-init")

    def run(*words: object) -> subprocess.CompletedProcess:
        return subprocess.run(["cloud-init", *map(str, words)], capture_output=True, text=True, timeout=120)

    return run


def read_yaml(text: str):
    """By the library that cloud-init reads with."""
    ended = debian_python("import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin.read())))", text)
    if "No module named 'yaml'" in ended.stderr:
        pytest.skip("yaml is not installed: Debian's package python3-yaml")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.parametrize(
    "text",
    [user_data(FIRST_BOOT), user_data(BY_PASSWORD), user_data_later(FIRST_BOOT)],
    ids=["key", "password", "later"],
)
def test_its_schema_finds_nothing_wrong(text, cloud_init, tmp_path):
    file = tmp_path / "user-data"
    file.write_text(text)
    ended = cloud_init("schema", "--config-file", file)
    assert ended.returncode == 0 and "Valid" in ended.stdout, ended.stdout + ended.stderr
    assert "Deprecat" not in ended.stdout + ended.stderr


def test_who_may_log_in_and_how():
    by_key, by_password = read_yaml(user_data(FIRST_BOOT)), read_yaml(user_data(BY_PASSWORD))
    assert by_key["users"][0]["ssh_authorized_keys"] == list(FIRST_BOOT.authorized_keys)
    assert by_key["users"][0]["lock_passwd"] and by_key["ssh_pwauth"] is False
    assert by_key["users"][0]["sudo"] == "ALL=(ALL) NOPASSWD:ALL"
    assert by_password["users"][0]["passwd"] == BY_PASSWORD.password_hash
    assert not by_password["users"][0]["lock_passwd"] and by_password["ssh_pwauth"] is True
    assert "sudo" not in by_password["users"][0]


def test_what_stays_on_the_card_has_no_secret():
    assert read_yaml(user_data_later(BY_PASSWORD)) == {"hostname": "door-1", "manage_etc_hosts": True}
    assert "wifis" not in read_yaml(network_config_later())["network"]


@pytest.mark.parametrize(
    "name", ['My "Wi-Fi"', "back\\slash", "café", "😀 net", "yes", "1.5", "- a: b", "'", "%x", "*", "&a", "{"]
)
def test_names_of_networks_are_read_as_they_are(name):
    wifi = Wifi(name, "correct horse", "NO")  # which YAML 1.1 reads as false where it has no quotes
    points = read_yaml(network_config(replace(FIRST_BOOT, wifi=wifi)))["network"]["wifis"]["wlan0"]
    assert points["access-points"] == {name: {"password": wifi.key()}}
    assert points["regulatory-domain"] == "NO"


def test_netplan_gets_the_network(cloud_init, tmp_path):
    file = tmp_path / "network-config"
    file.write_text(network_config(FIRST_BOOT))
    words = ["-p", file, "-k", "yaml", "-d", tmp_path / "out", "-D", "debian", "-O", "netplan"]
    ended = cloud_init("devel", "net-convert", *words)
    assert ended.returncode == 0, ended.stderr
    network = read_yaml((tmp_path / "out/etc/netplan/50-cloud-init.yaml").read_text())["network"]
    wifi = network["wifis"]["wlan0"]
    assert wifi["access-points"] == {"Workshop 2": {"password": FIRST_BOOT.wifi.key()}}
    assert wifi["regulatory-domain"] == "GB" and wifi["dhcp4"]
    assert network["ethernets"]["eth0"]["dhcp4"]
