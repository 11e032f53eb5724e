"""A workstation with a HOME of its own, a real sshd, and a device behind it.

Nothing of the user's own ~/.ssh is read or written. A test module takes them by `pytest_plugins = ["ssh_fixtures"]`.
"""

from pathlib import Path

import pytest
from ssh_server import SSHD, Device, SshServer


@pytest.fixture
def workstation(tmp_path, monkeypatch) -> Path:
    """A HOME without keys, and no ssh agent."""
    home = tmp_path / "workstation"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return home


@pytest.fixture
def start_sshd(tmp_path, workstation):
    """Starts a server, with what SshServer takes beyond its folders; it is stopped at the test's end."""
    if SSHD is None:
        pytest.skip("no sshd here; Debian: sudo apt-get install openssh-server")
    servers = []

    def start(**options) -> SshServer:
        folder = tmp_path / f"sshd{len(servers)}"
        folder.mkdir()
        servers.append(SshServer(folder, workstation, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def ssh_server(start_sshd) -> SshServer:
    """A server that nobody has seen before; the user has one key, ~/.ssh/id_ed25519, which it lets in."""
    server = start_sshd()
    server.key_for("id_ed25519")
    return server


@pytest.fixture
def device(ssh_server) -> Device:
    """A device behind it, whose host key is known."""
    ssh_server.trust()
    return ssh_server.device("garden")
