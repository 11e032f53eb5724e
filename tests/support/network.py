"""Two machines and a router between them, in network namespaces of this one: packets can vanish on the way."""

import subprocess

WORKSTATION_ADDRESS = "198.18.1.2"
DEVICE_ADDRESS = "198.18.2.2"
"""Of the block for tests of network gear (RFC 2544): nobody's."""

# The two ends and their routes; the router between them forwards. Its own two ends are made inside it.
_CONNECT = """
set -e
end() {  # the namespace's process, its address, the router's towards it
    ip link add "to$1" type veth peer name eth0 netns "$1"
    ip addr add "$3/24" dev "to$1"
    ip link set "to$1" up
    nsenter --net="/proc/$1/ns/net" sh -ec "
        ip link set lo up; ip addr add $2/24 dev eth0; ip link set eth0 up; ip route add default via $3"
}
end "$1" "$3" 198.18.1.1
end "$2" "$4" 198.18.2.1
echo 1 > /proc/sys/net/ipv4/ip_forward
"""


class Network:
    """The machines are processes that sleep; they, and with them the namespaces, are gone when this process is."""

    def __init__(self):
        """Raises CalledProcessError where namespaces are not permitted."""
        self._machines: list[subprocess.Popen] = []
        try:
            self._workstation, self._device, self._router = (self._namespace() for _ in range(3))
            ends = (str(self._workstation), str(self._device), WORKSTATION_ADDRESS, DEVICE_ADDRESS)
            self._in(self._router, "sh", "-c", _CONNECT, "sh", *ends)
        except BaseException:
            self.close()
            raise

    @property
    def workstation(self) -> tuple[str, ...]:
        """Begins a command line that runs on the workstation, in the process that is started."""
        return _entering(self._workstation)

    @property
    def device(self) -> tuple[str, ...]:
        """The same on the device, whose address is DEVICE_ADDRESS."""
        return _entering(self._device)

    def silence(self) -> None:
        """From now on packets vanish, in both directions, and nobody is told: no cable is out, no connection refused."""
        self._in(self._router, "sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward")

    def speak(self) -> None:
        """Lets packets through again."""
        self._in(self._router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")

    def close(self) -> None:
        for machine in self._machines:
            machine.kill()
            machine.wait(60)

    def _namespace(self) -> int:
        """A new one; returns the process that keeps it."""
        # It says when it is in there. setpriv: it ends with this process, however that ends.
        script = (
            "unshare",
            "--net",
            "setpriv",
            "--pdeathsig",
            "KILL",
            "sh",
            "-c",
            "echo in; exec sleep 3600",
        )
        machine = subprocess.Popen(script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._machines.append(machine)
        said = machine.stdout.readline()
        machine.stdout.close()
        if said != "in\n":
            raise subprocess.CalledProcessError(machine.wait(60), script, stderr=said)
        return machine.pid

    def _in(self, namespace: int, *command: str) -> None:
        subprocess.run([*_entering(namespace), *command], check=True, capture_output=True, text=True)


def _entering(namespace: int) -> tuple[str, ...]:
    return ("nsenter", f"--net=/proc/{namespace}/ns/net")
