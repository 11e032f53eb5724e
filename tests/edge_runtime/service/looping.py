"""A loop in the place of `litelens run`: classifies, feeds the watchdog, and hangs when it is told to.

The state folder gets facts.json: what the process can do from inside the unit.
"""

import ctypes
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import numpy as np

from edge_runtime.classifier import Classifier
from edge_runtime.service.notify import Notifier


def refused(action) -> str:
    """What the system says to an action; "" if it lets it happen."""
    try:
        action()
    except OSError as problem:
        return problem.strerror
    return ""


def mount() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def facts() -> dict:
    return {
        "uid": os.getuid(),
        "groups": os.getgroups(),
        "cwd": os.getcwd(),
        "home": os.environ["HOME"],
        "homes": sorted(map(str, Path("/home").glob("*/*"))),
        "tmp": os.listdir("/tmp"),
        "refused": {
            "write /etc": refused(lambda: Path("/etc/litelens").write_text("")),
            "write beside the model": refused(lambda: Path(sys.argv[1]).with_name("new").write_text("")),
            "read /etc/shadow": refused(Path("/etc/shadow").read_text),
            "packet socket": refused(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
            "become root": refused(lambda: os.setuid(0)),
            "mount": refused(mount),
            "internet socket": refused(lambda: socket.socket(socket.AF_INET)),
            "write the state": refused(lambda: Path("written").write_text("")),
            "read /proc/cpuinfo": refused(Path("/proc/cpuinfo").read_text),
            "start a program": refused(lambda: os.system("true")),
        },
    }


def hang(*_) -> None:
    while True:
        time.sleep(1)


def main() -> None:
    notifier, model = Notifier(), sys.argv[1]
    wanted = set()
    signal.signal(signal.SIGHUP, lambda *_: wanted.add("reload"))
    signal.signal(signal.SIGTERM, lambda *_: wanted.add("stop"))
    signal.signal(signal.SIGUSR1, hang)
    classifier = Classifier(model)
    Path("facts.json").write_text(json.dumps(facts()))
    notifier.ready()
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[..., 2] = 255
    while "stop" not in wanted:
        notifier.watchdog()
        notifier.status(f"{classifier.classify(frame)[0].label} {' '.join(sys.argv[2:])}")
        if "reload" in wanted:
            wanted.clear()
            notifier.reloading()
            classifier = Classifier(model)
            notifier.ready()
            print("reloaded", file=sys.stderr, flush=True)
        time.sleep(0.02)
    notifier.stopping()


if __name__ == "__main__":
    main()
