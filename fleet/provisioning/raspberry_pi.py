"""What a Raspberry Pi is told of itself before its first boot, and the names that it may have."""

import base64
import binascii
import hashlib
import re
import zoneinfo
from dataclasses import dataclass

from edge_runtime.errors import ConfigError

# RFC 1123, one label: raspi-config and cloud-init take the domain from elsewhere.
_HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)
# Of what Debian's adduser takes, that which userconf-pi takes, too.
_USER = re.compile(r"[a-z][a-z0-9-]{0,30}", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}", re.ASCII)
_RAW_KEY = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_KEY_KINDS = re.compile(
    r"ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com"
)
# Users and groups of Raspberry Pi OS: a user's group has the user's name.
_TAKEN = """
root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc gnats nobody adm tty disk dialout fax voice
cdrom floppy tape sudo audio dip operator src shadow utmp video sasl plugdev staff users input sgx kvm render crontab netdev
messagebus sshd ssh avahi polkitd rtkit saned colord lightdm gpio i2c spi lpadmin dnsmasq statd geoclue pulse
""".split()  # noqa: SIM905  a list of them would be sixty lines


@dataclass(frozen=True)
class Wifi:
    """A network that asks for a password (WPA2, or WPA2 and WPA3 together)."""

    ssid: str
    password: str
    """8 to 63 characters of ASCII, or the 64 hexadecimal digits that are made of them."""
    country: str
    """Two capitals of ISO 3166: where the radio is, which decides on its channels."""

    def __post_init__(self):
        """Checks the values.

        Raises:
            ConfigError: If one is not as its field says, or the name not 1 to 32 bytes without control characters.
        """
        if not 1 <= len(self.ssid.encode()) <= 32 or not self.ssid.isprintable():
            raise ConfigError(
                f"{self.ssid!r:.80} is no Wi-Fi network's name, expected 1 to 32 bytes without control characters",
                "give --wifi SSID as the access point shows it",
            )
        printable = self.password.isascii() and self.password.isprintable()
        if not (_RAW_KEY.fullmatch(self.password) or printable and 8 <= len(self.password) <= 63):
            raise ConfigError(  # not the value: it is a secret
                "the Wi-Fi password is not 8 to 63 ASCII characters, nor 64 hexadecimal digits",
                "give the one that the access point asks for",
            )
        if not _COUNTRY.fullmatch(self.country):
            raise ConfigError(
                f"{self.country!r:.20} is no country code", "two capitals, such as --wifi-country GB"
            )

    def key(self) -> str:
        """The pre-shared key as 64 hexadecimal digits (IEEE 802.11i, H.4): right for this network alone."""
        if _RAW_KEY.fullmatch(self.password):
            return self.password.lower()
        return hashlib.pbkdf2_hmac("sha1", self.password.encode(), self.ssid.encode(), 4096, 32).hex()


@dataclass(frozen=True)
class FirstBoot:
    """What a new Raspberry Pi is told."""

    hostname: str
    user: str
    password_hash: str
    """As /etc/shadow has it; "": nobody can log in with a password."""
    authorized_keys: tuple[str, ...]
    """Lines of ~/.ssh/authorized_keys; without any, ssh asks for the password."""
    wifi: Wifi | None = None
    """None: Ethernet alone."""
    timezone: str = ""
    """Such as "Europe/London"; "": the system's own."""

    def __post_init__(self):
        """Checks the values.

        Raises:
            ConfigError: If a name is none, or nobody could log in.
        """
        if not _HOSTNAME.fullmatch(self.hostname) or self.hostname.isdigit():
            raise ConfigError(
                f"{self.hostname!r:.80} is no host name, expected 1 to 63 letters, digits and hyphens, neither first nor last "
                "a hyphen, and not digits alone",
                "for example --hostname door-1",
            )
        if not _USER.fullmatch(self.user) or self.user in _TAKEN or self.user.startswith("litelens"):
            raise ConfigError(
                f"{self.user!r:.80} can be no user there, expected 1 to 31 small letters, digits and hyphens, a letter "
                "first, and no name that the system or litelens has",
                "for example --user pi",
            )
        if self.timezone and not _is_timezone(self.timezone):
            raise ConfigError(
                f"{self.timezone!r:.80} is no time zone",
                "for example --timezone Europe/London; timedatectl list-timezones",
            )
        if not self.password_hash and not self.authorized_keys:
            raise ConfigError(
                "nobody could log in there: there is neither a key nor a password",
                "--authorized-key ~/.ssh/id_ed25519.pub, or --password-file FILE",
            )


def read_authorized_keys(text: str, name: str) -> tuple[str, ...]:
    """The public keys of a file such as ~/.ssh/id_ed25519.pub or an authorized_keys without options.

    Args:
        text: Its content.
        name: Its name, for messages.

    Raises:
        ConfigError: If a line is no public key, or there is none.
    """
    if "PRIVATE KEY" in text:
        raise ConfigError(f"{name} is a private key, which stays here", f"name the public one: {name}.pub")
    lines = [line.strip() for line in text.splitlines()]
    keys = tuple(line for line in lines if line and not line.startswith("#"))
    for key in keys:
        if not _is_public_key(key):
            raise ConfigError(
                f"{name} has a line that is no public key: {key!r:.60}",
                "a line is its kind, its text, and a name: ssh-ed25519 AAAA... you@here; ssh-keygen makes one",
            )
    if not keys:
        raise ConfigError(f"{name} has no public key", "ssh-keygen -t ed25519 makes one")
    return keys


def _is_public_key(line: str) -> bool:
    kind, _, rest = line.partition(" ")
    try:
        blob = base64.b64decode(rest.split(" ")[0], validate=True)
    except (binascii.Error, ValueError):
        return False
    # The text begins with its own kind's length and name (RFC 4253, 6.6).
    return (
        line.isprintable()
        and bool(_KEY_KINDS.fullmatch(kind))
        and blob[:4] == len(kind).to_bytes(4)
        and blob[4:].startswith(kind.encode())
    )


def _is_timezone(name: str) -> bool:
    known = zoneinfo.available_timezones()  # empty where this machine has no such data
    return bool(_ZONE.fullmatch(name)) and (not known or name in known)
