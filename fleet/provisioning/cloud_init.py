"""What Raspberry Pi OS trixie reads at its first boot: cloud-init's user-data and network-config.

Formats: https://docs.cloud-init.io/en/latest/reference/modules.html and
https://docs.cloud-init.io/en/latest/reference/network-config-format-v2.html; which of their keys Raspberry Pi OS sets itself:
github.com/raspberrypi/rpi-imager, src/customization_generator.cpp. JSON is YAML, and quotes every text.
"""

import json

from fleet.provisioning.raspberry_pi import FirstBoot

MARK = "# Written by litelens image."
"""In every file of ours; one without it is not overwritten."""
# As Raspberry Pi OS' own first user.
_GROUPS = "users,adm,dialout,audio,netdev,video,plugdev,cdrom,games,input,gpio,spi,i2c,render,sudo"
_START = "! test -f /boot/firmware/litelens/first-boot.sh || sh /boot/firmware/litelens/first-boot.sh start"


def user_data(first_boot: FirstBoot) -> str:
    """The whole configuration, and what starts the installation."""
    configuration = _public(first_boot) | {
        "users": [_user(first_boot)],
        "ssh_pwauth": not first_boot.authorized_keys,
        # At every boot until it has succeeded: what cloud-init does once, it counts as done when it begins.
        "bootcmd": [["sh", "-c", _START]],
        "runcmd": [["systemctl", "enable", "--now", "ssh"]],
    }
    return _cloud_config(configuration)


def user_data_later(first_boot: FirstBoot) -> str:
    """What takes its place after the installation: cloud-init looks at these at every boot, and none is a secret."""
    return _cloud_config(_public(first_boot))


def network_config(first_boot: FirstBoot) -> str:
    """Ethernet, and the Wi-Fi network if there is one."""
    network = _ethernet()
    if first_boot.wifi:
        wifi = first_boot.wifi
        network["wifis"] = {
            "wlan0": {
                "dhcp4": True,
                "optional": True,
                "regulatory-domain": wifi.country,
                "access-points": {wifi.ssid: {"password": wifi.key()}},
            }
        }
    return _marked({"network": network})


def network_config_later() -> str:
    """What takes its place: the network is set up in the system by then."""
    return _marked({"network": _ethernet()})


def _public(first_boot: FirstBoot) -> dict:
    names = {"hostname": first_boot.hostname, "manage_etc_hosts": True}
    return names | ({"timezone": first_boot.timezone} if first_boot.timezone else {})


def _user(first_boot: FirstBoot) -> dict:
    user = {
        "name": first_boot.user,
        "groups": _GROUPS,
        "shell": "/bin/bash",
        "lock_passwd": not first_boot.password_hash,
    }
    if first_boot.password_hash:
        user["passwd"] = first_boot.password_hash
    else:
        user["sudo"] = "ALL=(ALL) NOPASSWD:ALL"  # there is no password that sudo could ask for
    if first_boot.authorized_keys:
        user["ssh_authorized_keys"] = list(first_boot.authorized_keys)
    return user


def _ethernet() -> dict:
    return {"version": 2, "ethernets": {"eth0": {"dhcp4": True, "optional": True}}}


def _cloud_config(configuration: dict) -> str:
    return "#cloud-config\n" + _marked(configuration)


def _marked(configuration: dict) -> str:
    # Not in ASCII: JSON writes what is beyond U+FFFF as two escapes, which YAML reads as two characters.
    return f"{MARK}\n{json.dumps(configuration, indent=1, ensure_ascii=False)}\n"
