"""What Raspberry Pi OS bookworm reads at its first boot: custom.toml.

Its reader is /usr/lib/raspberrypi-sys-mods/init_config (github.com/RPi-Distro/raspberrypi-sys-mods), which is what says which
keys there are; it was never documented. It removes the file when it has read it.
"""

import json
from typing import Any

from edge_runtime.errors import ConfigError
from fleet.provisioning.cloud_init import MARK
from fleet.provisioning.raspberry_pi import FirstBoot


def custom_toml(first_boot: FirstBoot) -> str:
    """The whole configuration; it can name no commands, for which there is firstrun.sh.

    Raises:
        ConfigError: If its reader would make another Wi-Fi name of this one.
    """
    tables: dict[str, dict[str, Any]] = {
        "system": {"hostname": first_boot.hostname},
        # A user without a password is locked by a "!" that the reader puts there itself.
        "user": {"name": first_boot.user}
        | (
            {"password": first_boot.password_hash, "password_encrypted": True}
            if first_boot.password_hash
            else {}
        ),
        "ssh": {
            "enabled": True,
            "password_authentication": not first_boot.authorized_keys,
            "authorized_keys": list(first_boot.authorized_keys),
        },
    }
    if first_boot.wifi:
        _check_ssid(first_boot.wifi.ssid)
        tables["wlan"] = {
            "ssid": first_boot.wifi.ssid,
            "password": first_boot.wifi.key(),
            "password_encrypted": True,
            "country": first_boot.wifi.country,
        }
    if first_boot.timezone:
        tables["locale"] = {"timezone": first_boot.timezone}
    # Text, true and lists of texts in JSON are the same in TOML.
    parts = [
        f"\n[{name}]\n"
        + "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in table.items())
        for name, table in tables.items()
    ]
    return f"{MARK}\nconfig_version = 1\n" + "".join(parts)


def _check_ssid(ssid: str) -> None:
    """The name goes as it is into a file of NetworkManager's, whose format has escapes and trims (GLib's key file)."""
    if "\\" in ssid or ";" in ssid or ssid != ssid.strip():
        raise ConfigError(
            f"the Wi-Fi {ssid!r} cannot be set up by Raspberry Pi OS bookworm's custom.toml: its name has a backslash, a "
            "semicolon, or a space at an end",
            "use Raspberry Pi OS trixie; or leave --wifi out, and set it up there: sudo nmtui",
        )
