"""Who is let in where: host keys, keys, agent and password, against a real sshd."""

import asyncio
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from ssh_server import Person, SshServer, make_key

from fleet.connection import connect
from fleet.errors import (
    ConnectionCut,
    HostKeyChanged,
    HostKeyUnknown,
    HostUnreachable,
    LoginRefused,
    SshConfigError,
)

pytest_plugins = ["ssh_fixtures"]

ROOT = Path(__file__).parents[2]
LOG_IN = """
import asyncio, sys
from edge_runtime.errors import LitelensError
from fleet.connection import connect

async def log_in():
    async with connect(sys.argv[1]) as machine:
        print(await machine.check(["echo", "logged", "in"]))

try:
    asyncio.run(log_in())
except LitelensError as error:
    sys.exit(f"error: {error}\\nhint: {error.hint}")
"""
PASSWORD = "garden gnome"
# crypt.crypt(PASSWORD, "$6$litelens$")
PASSWORD_HASH = (
    "$6$litelens$m2kWg1Ne3pRXiDqp4MLwlxKsysNqMg.LvylkYNTm3uL/FII8OjS4b7sr36zab1.pRFHvp6owTu3yijh3unBN7."
)


def log_in(address: str) -> str:
    """Runs a command there; returns what it printed."""

    async def run() -> str:
        async with connect(address) as machine:
            return await machine.check(["echo", "in"])

    return asyncio.run(run())


@pytest.fixture
def person(ssh_server):
    """Somebody who logs in by hand, in another process."""
    return lambda: Person([sys.executable, "-c", LOG_IN, ssh_server.address])


def by_openssh(server: SshServer) -> subprocess.CompletedProcess:
    """OpenSSH's own client, which asks nobody."""
    options = (
        "-o",
        "BatchMode=yes",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        f"UserKnownHostsFile={server.known_hosts}",
    )
    key = server.known_hosts.with_name("id_ed25519")
    command = ("ssh", *options, "-i", key, "-p", str(server.port), f"{server.user}@127.0.0.1", "echo in")
    return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


def test_a_first_contact_is_refused_where_nobody_can_be_asked(ssh_server):
    with pytest.raises(HostKeyUnknown, match="was never seen before") as refused:
        log_in(ssh_server.address)
    assert ssh_server.fingerprint in str(refused.value)
    assert not ssh_server.known_hosts.exists()
    assert "Accepted" not in ssh_server.log, "the user's key was not shown to a stranger"


def test_the_hint_of_a_first_contact_leads_in(ssh_server):
    with pytest.raises(HostKeyUnknown) as refused:
        log_in(ssh_server.address)
    scan = re.search(r"ssh-keyscan .*", refused.value.hint)[0]
    subprocess.run(scan, shell=True, check=True, timeout=60, stderr=subprocess.DEVNULL)
    assert log_in(ssh_server.address) == "in\n"


def test_a_first_contact_is_asked_for_and_remembered_as_openssh_does(ssh_server, person):
    somebody = person()
    somebody.types("yes", when="Is it right? [yes/no]")
    assert somebody.leaves() == 0
    assert ssh_server.fingerprint in somebody.said
    assert "logged in" in somebody.said
    assert ssh_server.known_hosts.stat().st_mode & 0o777 == 0o600
    assert log_in(ssh_server.address) == "in\n"
    assert by_openssh(ssh_server).stdout == "in\n"


@pytest.mark.parametrize("answer", ["no", "y"])
def test_a_first_contact_that_is_not_confirmed_is_refused(ssh_server, person, answer):
    somebody = person()
    somebody.types(answer, when="Is it right? [yes/no]")
    assert somebody.leaves() == 1
    assert "nobody has said that its host key is right" in somebody.said
    assert not ssh_server.known_hosts.exists()


def test_ctrl_c_leaves_the_question(ssh_server, person):
    somebody = person()
    somebody.presses("\x03", when="Is it right? [yes/no]")
    assert somebody.leaves() != 0
    assert "KeyboardInterrupt" in somebody.said


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_a_changed_host_key_is_refused_even_where_somebody_is_there(ssh_server, person, tmp_path, kind):
    """The server has an ed25519 key: it shows another one than is known, or none of the kind that is."""
    make_key(tmp_path / "old", kind)
    old = (tmp_path / "old.pub").read_text()
    ssh_server.known_hosts.write_text(f"{ssh_server.known_as} {old}")
    with pytest.raises(HostKeyChanged, match="does not show the host key it had") as refused:
        log_in(ssh_server.address)
    somebody = person()
    assert somebody.leaves() == 1
    assert "does not show the host key it had" in somebody.said
    assert "[yes/no]" not in somebody.said
    assert ssh_server.known_hosts.read_text() == f"{ssh_server.known_as} {old}"
    assert "Accepted" not in ssh_server.log

    forget = re.search(r"ssh-keygen [^;]*", refused.value.hint)[0]
    subprocess.run(forget, shell=True, check=True, timeout=60, capture_output=True)
    with pytest.raises(HostKeyUnknown):
        log_in(ssh_server.address)


def test_a_revoked_host_key_is_refused(ssh_server):
    ssh_server.known_hosts.write_text(
        f"@revoked * {ssh_server.host_key}\n{ssh_server.known_as} {ssh_server.host_key}\n"
    )
    with pytest.raises(HostKeyUnknown, match="revoked"):
        log_in(ssh_server.address)


def test_hashed_names_in_known_hosts_are_read(ssh_server):
    ssh_server.trust()
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", ssh_server.known_hosts], check=True, capture_output=True)
    assert ssh_server.known_as not in ssh_server.known_hosts.read_text()
    assert log_in(ssh_server.address) == "in\n"


def test_another_machine_at_the_same_address_is_not_this_one(ssh_server, start_sshd):
    """As after a new lease: the same IP address, another port here; what is known of one says nothing of the other."""
    ssh_server.trust()
    with pytest.raises(HostKeyUnknown):
        log_in(start_sshd().address)


def test_the_ssh_config_is_honoured(ssh_server, device, workstation, tmp_path):
    assert log_in(device.name) == "in\n"
    known = tmp_path / "known elsewhere"
    ssh_server.known_hosts.rename(known)
    with (workstation / ".ssh" / "config").open("a") as config:
        config.write(f'UserKnownHostsFile "{known}"\n')
    assert log_in(device.name) == "in\n"
    known.write_text(f"shed {ssh_server.host_key}\n")
    with (workstation / ".ssh" / "config").open("a") as config:
        config.write("HostKeyAlias shed\n")
    assert log_in(device.name) == "in\n"


def test_a_machine_behind_another_is_reached(ssh_server, device, workstation):
    key = ssh_server.key_for("behind")
    with (workstation / ".ssh" / "config").open("a") as config:
        config.write(f"Host behind\n  HostName 127.0.0.1\n  Port {ssh_server.port}\n  IdentityFile {key}\n")
        config.write(f"  ProxyJump {device.name}\n")
    assert log_in("behind") == "in\n"
    assert ssh_server.log.count("Accepted publickey") == 2


def test_the_agent_s_keys_are_used(ssh_server, workstation, tmp_path, monkeypatch):
    ssh_server.trust()
    key = workstation / ".ssh" / "id_ed25519"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", tmp_path / "agent"], stdout=subprocess.PIPE)
    try:
        agent.stdout.readline()  # it listens now
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        subprocess.run(["ssh-add", "-q", key], check=True)
        key.unlink()
        assert log_in(ssh_server.address) == "in\n"
    finally:
        agent.terminate()
        agent.communicate()


def test_a_user_whom_the_machine_does_not_know_is_refused(ssh_server):
    ssh_server.trust()
    with pytest.raises(LoginRefused, match="takes none of the keys") as refused:
        log_in(f"nobody-here@127.0.0.1:{ssh_server.port}")
    assert f"ssh-copy-id -p {ssh_server.port} nobody-here@127.0.0.1" in refused.value.hint


@pytest.fixture
def password_server(start_sshd, tmp_path) -> SshServer:
    """A server that knows a password of the user's: its /etc/shadow is its own."""
    if os.getuid() or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        pytest.skip("a mount namespace, for another /etc/shadow, is not permitted here")
    shadow = tmp_path / "shadow"
    shadow.write_text(f"root:{PASSWORD_HASH}:19000:0:99999:7:::\n")
    inside = 'mount --bind "$0" /etc/shadow && exec "$@"'
    server = start_sshd(enter=("unshare", "--mount", "sh", "-c", inside, shadow), password=True)
    server.trust()
    return server


def test_a_password_is_asked_for_and_not_shown(password_server):
    somebody = Person([sys.executable, "-c", LOG_IN, password_server.address])
    somebody.types("a guess", when="password: ")
    somebody.types(PASSWORD, when="password: ")
    assert somebody.leaves() == 0
    assert "logged in" in somebody.said
    assert PASSWORD not in somebody.said


def test_three_wrong_passwords_are_enough(password_server):
    somebody = Person([sys.executable, "-c", LOG_IN, password_server.address])
    for _ in range(3):
        somebody.types("a guess", when="password: ")
    assert somebody.leaves() == 1
    assert "takes none of the 3 passwords" in somebody.said


def test_a_password_needs_somebody_at_a_terminal(password_server):
    with pytest.raises(LoginRefused, match="a password can only be asked for at a terminal"):
        log_in(password_server.address)


def test_nothing_listens(workstation):
    with socket.socket() as bound:  # and does not listen: nobody else gets the port
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(HostUnreachable, match="cannot connect to 127.0.0.1 port"):
            log_in(f"127.0.0.1:{bound.getsockname()[1]}")


@pytest.mark.parametrize("host", ["shed..garden", "a" * 64, ".".join(["a" * 60] * 6)])
def test_no_machine_of_the_name(workstation, host):
    """Names that the system refuses by itself, so that no DNS server is asked."""
    with pytest.raises(HostUnreachable, match=f"no machine has the name {host}"):
        log_in(f"pi@{host}")


@pytest.fixture
def answering():
    """Listens and says something, or nothing; yields its address."""
    listening = []

    def listen(says: bytes | None) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        listening.append(server)

        def serve() -> None:
            connection, _ = server.accept()
            listening.append(connection)
            if says is not None:
                connection.sendall(says)
                connection.shutdown(socket.SHUT_WR)

        threading.Thread(target=serve, daemon=True).start()
        return f"127.0.0.1:{server.getsockname()[1]}"

    yield listen
    for one in listening:
        one.close()


@pytest.mark.parametrize(
    "says, error, message",
    [
        (None, HostUnreachable, "no login at 127.0.0.1 port .* within 1 s"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ConnectionCut, "ended the connection during the login"),
        (b"SSH-1.5-old\r\n", HostUnreachable, "cannot be talked to"),
        (b"", ConnectionCut, "ended the connection during the login"),
    ],
)
def test_what_answers_is_no_ssh_server(workstation, answering, says, error, message):
    (workstation / ".ssh").mkdir()
    (workstation / ".ssh" / "config").write_text("ConnectTimeout 1\n" if says is None else "")
    with pytest.raises(error, match=message):
        log_in(answering(says))


@pytest.mark.parametrize(
    "file, content, message",
    [
        ("config", "Port many\n", "~/.ssh/config cannot be used"),
        ("known_hosts", "garbled\n", "cannot read .*known_hosts"),
    ],
)
def test_damaged_settings_are_named(workstation, file, content, message):
    (workstation / ".ssh").mkdir()
    (workstation / ".ssh" / file).write_text(content)
    with pytest.raises(SshConfigError, match=message):
        log_in("127.0.0.1:9")
