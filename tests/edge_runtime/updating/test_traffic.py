"""What following costs on the wire, counted between device and server; docs/updates.md quotes it (pytest -rP)."""

import socket
import threading

import pytest


class Relay:
    """Passes connections on to a server and counts the bytes of TCP's payload each way."""

    def __init__(self, port: int):
        self.sent = self.received = self.connections = 0
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._start(self._listen)

    def _start(self, work, *arguments) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        while True:
            try:
                device, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.create_connection(("127.0.0.1", self._to))
            self._start(self._pass, device, server, "sent")
            self._start(self._pass, server, device, "received")

    def _pass(self, source: socket.socket, to: socket.socket, count: str) -> None:
        try:
            while content := source.recv(65536):
                setattr(self, count, getattr(self, count) + len(content))
                to.sendall(content)
            to.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self) -> tuple[int, int, int]:
        """Ends it; what the device sent, what it received, and over how many connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(30)
        return self.sent, self.received, self.connections


@pytest.fixture
def cost(world):
    """The payload of one look in bytes: sent, received; and requests and connections."""

    def measure() -> tuple[int, int, int, int]:
        port, asked = world.server.server_port, len(world.server.asked)
        relay = Relay(port)
        world.server.server_port = relay.port  # the address that the device is told
        try:
            world.look()
        finally:
            world.server.server_port = port
            sent, received, connections = relay.close()
        return sent, received, len(world.server.asked) - asked, connections

    return measure


@pytest.mark.slow
def test_bytes_of_a_look(world, cost):
    looks = {"nothing new": cost()}
    world.sign()
    looks["timestamp signed again"] = cost()
    world.publish("2")
    sent, received, requests, connections = cost()
    looks["update, without the model"] = (sent, received - len(world.packed("2")), requests, connections)
    print(f"\n{'a look':<26}{'sent':>8}{'received':>10}{'requests':>10}{'connections':>13}")
    for name, counts in looks.items():
        print(f"{name:<26}{counts[0]:>8}{counts[1]:>10}{counts[2]:>10}{counts[3]:>13}")
    assert looks["nothing new"][2:] == looks["timestamp signed again"][2:] == (2, 1)
    assert looks["update, without the model"][2:] == (5, 1)
    assert sum(looks["nothing new"][:2]) < 3000
    assert sum(looks["update, without the model"][:2]) < 6000
