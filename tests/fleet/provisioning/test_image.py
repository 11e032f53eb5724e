"""`litelens image` on boot partitions in folders: what is written, what is refused, and a death at each step."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from cards import FIRST_BOOT, KEY, ROOT, WIFI, files_of, fresh_bookworm, fresh_trixie
from click.testing import CliRunner

from edge_runtime.errors import ConfigError
from fleet.provisioning import bundle, image
from fleet.provisioning.bundle import Wanted
from fleet.provisioning.card import Card, CardError, read_card, write_card
from fleet.provisioning.image_cli import image as command
from fleet.provisioning.raspberry_pi import FirstBoot, Wifi, read_authorized_keys
from fleet.provisioning.sha512_crypt import hash_password

SCRIPTS = Path(image.__file__).parent
TRIGGER = (
    "systemd.run=/boot/firmware/firstrun.sh systemd.run_success_action=reboot "
    "systemd.unit=kernel-command-line.target"
)
DYING = Path(__file__).parents[2] / "support"


@pytest.fixture(params=[fresh_trixie, fresh_bookworm])
def fresh(request, tmp_path) -> Path:
    return request.param(tmp_path / "bootfs")


@pytest.fixture
def wheels(monkeypatch):
    """A wheel of one file in place of all those that pip brings."""

    def collect(machine: str, python: str, folder: Path, extras: tuple[str, ...]) -> list[Path]:
        wheel = folder / "litelens-0.1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("litelens-0.1.0.dist-info/RECORD", f"{machine} {python}")
        return [wheel]

    monkeypatch.setattr(bundle, "collect_wheels", collect)


@pytest.fixture
def run(wheels, tiny, tmp_path):
    """The command with what every card needs; options by name, None takes one away."""
    (tmp_path / "key.pub").write_text(KEY + "\n")
    (tmp_path / "secret").write_text("correct horse\n")
    usual = {
        "--camera": "picamera",
        "--hostname": "door-1",
        "--user": "ada",
        "--authorized-key": tmp_path / "key.pub",
        "--wifi": "Workshop 2",
        "--wifi-country": "gb",
        "--wifi-password-file": tmp_path / "secret",
    }

    def go(folder: Path, **options):
        given = usual | {f"--{name.replace('_', '-')}": value for name, value in options.items()}
        words = [str(word) for pair in given.items() if pair[1] is not None for word in pair]
        return CliRunner().invoke(command, [str(folder), str(tiny), *words])

    return go


def test_all_is_written_and_nothing_else_touched(fresh, run):
    before = files_of(fresh)
    ended = run(fresh)
    assert ended.exit_code == 0, ended.output
    after = files_of(fresh)
    trixie = "user-data" in before
    changed = {name for name in before if after[name] != before[name]}
    assert changed == ({"user-data", "network-config", "cmdline.txt"} if trixie else {"cmdline.txt"})
    new = {name for name in after if name not in before and not name.startswith("litelens/")}
    assert new == (set() if trixie else {"custom.toml", "firstrun.sh"})
    assert {"litelens/install.sh", "litelens/first-boot.sh", "litelens/tiny.tflite"} <= after.keys()
    assert "litelens/wheels/litelens-0.1.0-py3-none-any.whl" in after
    assert b"user=ada\n" in after["litelens/settings"]
    line = after["cmdline.txt"].decode()
    assert (
        line
        == f"{before['cmdline.txt'].decode().strip()} {'cfg80211.ieee80211_regdom=GB' if trixie else TRIGGER}\n"
    )
    assert "umount" in ended.output and "ada@door-1.local" in ended.output
    assert "correct horse" not in ended.output
    assert not any(b"correct horse" in content for content in after.values())


def test_again_replaces_what_is_ours(fresh, run):
    assert run(fresh).exit_code == 0
    first = files_of(fresh)
    assert run(fresh).exit_code == 0
    assert files_of(fresh) == first
    assert run(fresh, hostname="door-2", wifi=None, wifi_country=None, wifi_password_file=None).exit_code == 0
    said = (fresh / ("user-data" if "user-data" in first else "custom.toml")).read_text()
    assert "door-2" in said and "door-1" not in said and "Workshop" not in said


@pytest.mark.parametrize(
    "change, why",
    [
        (lambda card: (card / "cmdline.txt").unlink(), "no boot partition of Raspberry Pi OS: it has no cmdline.txt"),
        (lambda card: (card / "config.txt").unlink(), "it has no config.txt"),
        (lambda card: (card / "cmdline.txt").write_text(ROOT + "\n"), "first boot of the system in .* is over"),
        (lambda card: (card / "litelens-first-boot.log").write_text("done"), "is over"),
        (lambda card: (card / "cmdline.txt").write_text(f"{ROOT} resize\nsecond line\n"), "is not one line"),
        (lambda card: (card / "cmdline.txt").write_bytes(b"\xff resize\n"), "cannot read"),
        (lambda card: (card / "cmdline.txt").write_text(""), "is not one line"),
        (
            lambda card: (card / "cmdline.txt").write_text(
                (card / "cmdline.txt").read_text().strip() + " systemd.run=/boot/firmware/other.sh\n"
            ),
            "cmdline.txt was not written by litelens image",
        ),
        (lambda card: (card / "custom.toml").write_text("config_version = 1\n"), "custom.toml was not"),
        (lambda card: (card / "firstrun.sh").write_text("#!/bin/sh\n"), "firstrun.sh was not"),
        (lambda card: (card / "userconf.txt").write_text("pi:x\n"), "userconf.txt was not"),
        (lambda card: (card / "litelens").mkdir(), "litelens was not"),
    ],
)  # fmt: skip
def test_cards_that_are_refused(fresh, run, change, why):
    change(fresh)
    before = files_of(fresh)
    ended = run(fresh)
    assert isinstance(ended.exception, CardError), ended.output
    assert re.search(why, str(ended.exception)), ended.exception
    assert files_of(fresh) == before


@pytest.mark.parametrize(
    "name, text",
    [
        ("user-data", "#cloud-config\nhostname: mine\n"),
        ("user-data", "#cloud-config\nusers:\n- name: pi\n"),
        ("network-config", "network:\n  version: 2\n  wifis:\n    wlan0: {}\n"),
        ("network-config", "network:\n  ethernets:\n    eth0:\n      addresses: [10.0.0.2/8]\n"),
    ],
)
def test_a_first_boot_that_somebody_else_has_prepared(name, text, run, tmp_path):
    card = fresh_trixie(tmp_path / "bootfs")
    (card / name).write_text(text)
    with pytest.raises(CardError, match=f"{name} was not written by litelens image"):
        read_card(card)


def test_a_system_that_reads_neither(tmp_path):
    card = fresh_bookworm(tmp_path / "bootfs")
    (card / "cmdline.txt").write_text(f"{ROOT} resize\n")
    with pytest.raises(CardError, match="neither cloud-init's user-data nor custom.toml"):
        read_card(card)


def test_a_32_bit_system_needs_its_own_network_and_python_311(run, tmp_path):
    card = fresh_trixie(tmp_path / "bootfs")
    (card / "kernel7.img").touch()
    ended = run(card)
    assert isinstance(ended.exception, CardError)
    assert "no interpreter of TFLite models exists for Python 3.13 on 32 bits" in str(ended.exception)


def test_a_card_that_is_full_is_left_as_it_was(tmpfs, wheels, tiny, tmp_path):
    card = fresh_trixie(tmpfs("size=4m") / "bootfs")
    before = files_of(card)
    with pytest.raises(CardError, match="MB left, expected"):
        image.write_image(read_card(card), FIRST_BOOT, Wanted(model=tiny, camera="demo"), print)
    assert files_of(card) == before


@pytest.mark.parametrize(
    "options, why",
    [
        ({"hostname": "-door"}, "no host name"),
        ({"hostname": "door_1"}, "no host name"),
        ({"hostname": "door.example"}, "no host name"),
        ({"hostname": "x" * 64}, "no host name"),
        ({"hostname": "42"}, "no host name"),
        ({"hostname": "a\nb: c"}, "no host name"),
        ({"user": "Ada"}, "can be no user"),
        ({"user": "root"}, "can be no user"),
        ({"user": "video"}, "can be no user"),
        ({"user": "litelens-ada"}, "can be no user"),
        ({"user": "ada;reboot"}, "can be no user"),
        ({"user": "a" * 32}, "can be no user"),
        ({"wifi": ""}, "no Wi-Fi network's name"),
        ({"wifi": "é" * 17}, "no Wi-Fi network's name"),
        ({"wifi": "a\nb"}, "no Wi-Fi network's name"),
        ({"wifi_country": "G1"}, "no country code"),
        ({"timezone": "Europe/Nowhere"}, "no time zone"),
        ({"timezone": "$(reboot)"}, "no time zone"),
        ({"wifi_password_file": "short"}, "not 8 to 63 ASCII characters"),
        ({"wifi_password_file": "empty"}, "empty"),
        ({"authorized_key": "private"}, "private key, which stays here"),
        ({"authorized_key": "short"}, "no public key"),
        ({"authorized_key": "empty"}, "has no public key"),
        ({"authorized_key": None}, "no terminal to ask at"),
        ({"authorized_key": "absent"}, "cannot read"),
        ({"wifi_password_file": "absent"}, "cannot read"),
        ({"web": "door:http"}, "no address to serve the page at"),
        ({"follow": "https://models.example.org/doors"}, "--root"),
    ],
)
def test_values_that_are_refused_before_anything_is_written(options, why, run, tmp_path):
    card = fresh_trixie(tmp_path / "bootfs")
    before = files_of(card)
    (tmp_path / "short").write_text("horse\n")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "private").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n")
    for name, value in options.items():
        if name.endswith(("file", "key")) and value:
            options[name] = tmp_path / value
    ended = run(card, **options)
    problem = ended.exception
    assert ended.exit_code == 1 and why in f"{problem} {getattr(problem, 'hint', '')}", problem
    assert files_of(card) == before


def test_a_password_in_a_file_may_be_all_there_is(run, tmp_path):
    card = fresh_trixie(tmp_path / "bootfs")
    (tmp_path / "password").write_text("a 'password' of $mine\r\n")
    ended = run(card, authorized_key=None, password_file=tmp_path / "password")
    assert ended.exit_code == 0, ended.output
    text = (card / "user-data").read_text()
    assert '"ssh_pwauth": true' in text and "NOPASSWD" not in text
    said = text.partition('"passwd": "')[2].partition('"')[0]
    assert said == hash_password("a 'password' of $mine", salt=said.split("$")[3])


def test_wifi_needs_its_country(run, tmp_path):
    card = fresh_trixie(tmp_path / "bootfs")
    assert run(card, wifi_country=None).exit_code == 2
    assert run(card, wifi=None).exit_code == 2


def test_keys_of_wifi_networks():
    """The first two of IEEE 802.11i, H.4.3."""
    assert (
        Wifi("IEEE", "password", "GB").key()
        == "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"
    )
    assert (
        Wifi("ThisIsASSID", "ThisIsAPassword", "GB").key()
        == "0dc0d6eb90555ed6419756b9a15ec3e3209b63df707dd508d14581f8982721af"
    )
    assert Wifi("IEEE", "AB" * 32, "GB").key() == "ab" * 32


def test_nobody_could_log_in():
    with pytest.raises(ConfigError, match="nobody could log in"):
        FirstBoot("door-1", "ada", "", ())


def test_several_keys():
    text = f"# mine\n{KEY}\n\n{KEY.replace('me@here', 'me@there')}\r\n"
    assert read_authorized_keys(text, "keys") == (KEY, KEY.replace("me@here", "me@there"))
    with pytest.raises(ConfigError, match="no public key"):
        read_authorized_keys(f'command="x" {KEY}', "keys")


@pytest.mark.parametrize("fresh_card", [fresh_trixie, fresh_bookworm])
def test_a_death_at_each_step_leaves_a_card_that_can_be_written_again(fresh_card, tmp_path):
    """And one whose first boot is as it was, or is told all: what starts the installation is written last."""
    (tmp_path / "cards").mkdir()
    fresh_card(tmp_path / "cards" / "0")
    (tmp_path / "bundle/wheels").mkdir(parents=True)
    for name in ("first-boot.sh", "install.sh", "wheels/a.whl"):
        (tmp_path / "bundle" / name).write_text(name * 1000)
    child = (
        "import sys; from pathlib import Path; from dying import at_each_step; from test_image import write_all\n"
        "at_each_step(Path(sys.argv[1]), lambda card: write_all(card, Path(sys.argv[2])))"
    )
    paths = (str(DYING), str(Path(__file__).parent), *sys.path)
    ended = subprocess.run(
        [sys.executable, "-c", child, tmp_path / "cards", tmp_path / "bundle"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    cards = sorted((tmp_path / "cards").iterdir(), key=lambda card: int(card.name))
    whole = files_of(cards[-1])
    trigger = ["user-data"] if "user-data" in whole else ["cmdline.txt"]
    assert len(cards) > 10
    for card in cards[1:]:
        found = files_of(card)
        if any(found[name] == whole[name] for name in trigger):
            assert {name: found.get(name) for name in whole} == whole
        write_all(card, tmp_path / "bundle")
        assert {name: content for name, content in files_of(card).items() if name in whole} == whole


def write_all(folder: Path, bundle_folder: Path) -> None:
    card = read_card(folder)
    names = ("network-config", "user-data") if card.release == "trixie" else ("firstrun.sh", "custom.toml")
    write_card(
        card, bundle_folder, {name: f"# Written by litelens image.\n{name}\n" for name in names}, WIFI.country
    )


def test_the_scripts_are_what_shellcheck_likes():
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed: Debian's package shellcheck")
    words = [
        "shellcheck",
        "--severity=warning",
        "--shell=sh",
        SCRIPTS / "first-boot.sh",
        SCRIPTS / "firstrun.sh",
    ]
    ended = subprocess.run(words, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout


def test_the_card_is_known_by_its_python():
    assert Card(Path(), "bookworm", "aarch64").python == "3.11"
    assert Card(Path(), "trixie", "aarch64").python == "3.13"
