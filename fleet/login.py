"""Logs in over ssh: host key, the user's keys, agent or password, and ~/.ssh/config as OpenSSH reads it."""

import socket

import asyncssh

from fleet.address import Address
from fleet.errors import (
    ConnectionCut,
    FleetError,
    HostKeyUnknown,
    HostUnreachable,
    LoginRefused,
    SshConfigError,
)
from fleet.host_keys import HostKeyCheck
from fleet.terminal import Terminal

CONNECT_TIMEOUT_S = 20.0
"""To the end of the login, unless ~/.ssh/config has a ConnectTimeout; a Raspberry Pi Zero needs seconds for its sums."""
KEEPALIVE_INTERVAL_S = 5.0
KEEPALIVES = 2
"""Unanswered ones, each after an interval of silence; an interval later the connection counts as cut."""
PASSWORD_TRIES = 3


async def log_in(address: Address, terminal: Terminal) -> asyncssh.SSHClientConnection:
    """Opens a connection; a person at the terminal is asked for what is missing.

    Raises:
        FleetError: SshConfigError, HostUnreachable, HostKeyUnknown, HostKeyChanged or LoginRefused.
    """
    options = _options(address)
    password: str | None = None
    tries = 0
    while True:
        attempt = _Attempt(HostKeyCheck(address, options))
        try:
            return await _connect(options, attempt, password)
        except asyncssh.HostKeyNotVerifiable as problem:
            await _confirm(address, attempt.host_key, terminal, problem)
        except asyncssh.PermissionDenied as problem:
            if not attempt.password_wanted or tries == PASSWORD_TRIES or not terminal.attended:
                raise _refused(address, attempt, tries) from problem
            tries += 1
            password = await terminal.ask(f"{address}'s password: ", secret=True)
        except (asyncssh.Error, OSError, UnicodeError) as problem:  # the last: a name that none can have
            raise _unreachable(address, options, problem) from problem


class _Attempt(asyncssh.SSHClient):
    """One try to log in. Nobody is asked in its midst: a person's time would count as the machine's."""

    def __init__(self, host_key: HostKeyCheck):
        self.host_key = host_key
        self.password_wanted = False

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.host_key.shown = key
        return False

    def password_auth_requested(self) -> None:
        self.password_wanted = True

    def kbdint_auth_requested(self) -> object:
        self.password_wanted = True
        return NotImplemented  # asyncssh then sends the password, if it has one


def _options(address: Address) -> asyncssh.SSHClientConnectionOptions:
    chosen = {"username": address.user, "port": address.port}
    try:
        return asyncssh.SSHClientConnectionOptions(
            # (): ~/.ssh/config, which this class, unlike connect(), does not read by itself.
            config=(),
            host=address.host,
            **{name: value for name, value in chosen.items() if value is not None},
        )
    except (OSError, ValueError, asyncssh.KeyImportError) as problem:
        message = f"~/.ssh/config cannot be used for {address}: {problem}"
        raise SshConfigError(message, f"see what ssh makes of it: {address.ssh('true')}") from problem


async def _connect(
    options: asyncssh.SSHClientConnectionOptions, attempt: _Attempt, password: str | None
) -> asyncssh.SSHClientConnection:
    return await asyncssh.connect(
        options.orig_host,
        options=options,
        client_factory=lambda: attempt,
        known_hosts=attempt.host_key.trusted,
        server_host_key_algs=options.config.get("HostKeyAlgorithms") or attempt.host_key.kinds,
        password=password,
        connect_timeout=options.connect_timeout or CONNECT_TIMEOUT_S,
        keepalive_interval=KEEPALIVE_INTERVAL_S,
        keepalive_count_max=KEEPALIVES,
    )


async def _confirm(
    address: Address, host_key: HostKeyCheck, terminal: Terminal, problem: asyncssh.HostKeyNotVerifiable
) -> None:
    if host_key.shown is None:  # it is revoked, or a ProxyJump's, which asyncssh checks by itself
        raise HostKeyUnknown(f"{address}: {problem}", f"{address.ssh('true')} says more") from problem
    if host_key.known or not terminal.attended or await terminal.ask(host_key.question()) != "yes":
        raise host_key.refusal() from problem
    host_key.remember()


def _refused(address: Address, attempt: _Attempt, tries: int) -> LoginRefused:
    if tries:
        return LoginRefused(
            f"{address} takes none of the {tries} passwords", f"see that {address.ssh()} lets you in"
        )
    password = " and a password can only be asked for at a terminal" if attempt.password_wanted else ""
    return LoginRefused(
        f"{address} takes none of the keys of ~/.ssh and of the ssh agent{password}",
        f"check the user's name; {address.ssh_copy_id()} brings your key there; ssh-add unlocks one that has a passphrase",
    )


def _unreachable(
    address: Address, options: asyncssh.SSHClientConnectionOptions, problem: Exception
) -> FleetError:
    where = f"{options.host} port {options.port}"
    if isinstance(problem, socket.gaierror | UnicodeError):
        return HostUnreachable(
            f"{address}: no machine has the name {options.host}", "check the name, or use the IP address"
        )
    if isinstance(problem, TimeoutError):
        limit_s = options.connect_timeout or CONNECT_TIMEOUT_S
        return HostUnreachable(
            f"{address}: no login at {where} within {limit_s:g} s",
            f"is it on, and in this network? ping {options.host}",
        )
    if isinstance(problem, asyncssh.ConnectionLost):
        return ConnectionCut(
            f"{address} ended the connection during the login: {problem}", f"try {address.ssh()}"
        )
    if isinstance(problem, OSError):
        return HostUnreachable(
            f"{address}: cannot connect to {where}: {problem}",
            "is the machine on, and its ssh server too? On it: sudo systemctl enable --now ssh",
        )
    return HostUnreachable(
        f"{address}: what answers at {where} cannot be talked to: {problem}",
        f"see whether {address.ssh()} can",
    )
