"""What names a machine, and what does not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.address import Address
from fleet.errors import AddressError


@pytest.mark.parametrize(
    "text, user, host, port",
    [
        ("pi@garden", "pi", "garden", None),
        ("garden", None, "garden", None),
        ("pi@192.168.1.20:2222", "pi", "192.168.1.20", 2222),
        ("pi@raspberrypi.local:22", "pi", "raspberrypi.local", 22),
        ("pi@[fe80::1%eth0]", "pi", "fe80::1%eth0", None),
        ("[::1]:2222", None, "::1", 2222),
        ("me@example.org@garden", "me@example.org", "garden", None),
        ("pi@gärtchen", "pi", "gärtchen", None),
    ],
)
def test_reads_user_host_and_port(text, user, host, port):
    address = Address.parse(text)
    assert (address.user, address.host, address.port) == (user, host, port)
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pi@",
        "@garden",
        "pi@garden:",
        "pi@garden:0",
        "pi@garden:65536",
        "pi@garden:ssh",
        "fe80::1",
        "ssh://pi@garden",
        "pi garden",
        "-oProxyCommand=reboot",
        "pi@-oProxyCommand=reboot",
        "pi@garden;reboot",
        "pi@$(reboot)",
        "pi@garden\n",
        "garden,shed",
    ],
)
def test_refuses_what_names_no_machine(text):
    with pytest.raises(AddressError, match="names no machine, expected user@host"):
        Address.parse(text)


@settings(deadline=None)
@given(st.text(alphabet="pié0289@:[].-_%+ \n'\"$;|\\"))
def test_what_is_read_is_written_the_same_and_reaches_no_shell(text):
    try:
        address = Address.parse(text)
    except AddressError:
        return
    assert Address.parse(str(address)) == address
    assert not set(text) & set(" \t\n'\"`$;|&<>(){}*?!\\")
    assert not address.host.startswith("-")


def test_says_how_a_person_gets_there():
    address = Address.parse("pi@garden:2222")
    assert address.ssh("df", "-h /") == "ssh -p 2222 pi@garden df '-h /'"
    assert address.ssh_copy_id() == "ssh-copy-id -p 2222 pi@garden"
