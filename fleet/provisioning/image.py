"""Has a card with a fresh Raspberry Pi OS come up as a litelens device."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from fleet.provisioning.bundle import Wanted, write_bundle
from fleet.provisioning.card import Card, CardError, write_card
from fleet.provisioning.cloud_init import network_config, network_config_later, user_data, user_data_later
from fleet.provisioning.custom_toml import custom_toml
from fleet.provisioning.raspberry_pi import FirstBoot

_HERE = Path(__file__).parent
SCRIPT = "first-boot.sh"
RUN_ONCE = "firstrun.sh"


def write_image(
    card: Card, first_boot: FirstBoot, wanted: Wanted, say: Callable[[str], object], *, online: bool = False
) -> None:
    """Writes onto a card what its first boot reads, and what it installs.

    Args:
        card: As `read_card` found it.
        first_boot: Names, users, network.
        wanted: What the device is to do.
        say: Told what is being done.
        online: The device installs from its index instead of from wheels on the card.

    Raises:
        LitelensError: As `write_bundle` and `write_card` do; the card starts as before, then.
    """
    if card.machine == "armv7l" and card.python != "3.11":
        raise CardError(
            f"no interpreter of TFLite models exists for Python {card.python} on 32 bits, which {card.folder} has",
            "use a 64-bit Raspberry Pi OS; or bookworm's 32-bit one, with --online",
        )
    with tempfile.TemporaryDirectory(prefix="litelens-image-") as folder:
        bundle = Path(folder, "bundle")
        say(f"collecting what Python {card.python} on {card.machine} needs")
        write_bundle(bundle, card.machine, card.python, wanted, user=first_boot.user, online=online)
        shutil.copyfile(_HERE / SCRIPT, bundle / SCRIPT)
        if card.release == "trixie":
            (bundle / "user-data.later").write_text(user_data_later(first_boot))
            (bundle / "network-config.later").write_text(network_config_later())
            files = {"network-config": network_config(first_boot), "user-data": user_data(first_boot)}
        else:
            files = {"firstrun.sh": (_HERE / RUN_ONCE).read_text(), "custom.toml": custom_toml(first_boot)}
        size_bytes = sum(file.stat().st_size for file in bundle.rglob("*") if file.is_file())
        say(f"writing {size_bytes / 1e6:.0f} MB to {card.folder}")
        write_card(card, bundle, files, first_boot.wifi.country if first_boot.wifi else "")
