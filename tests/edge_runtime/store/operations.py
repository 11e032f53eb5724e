"""Does one operation in a store, in a child that is stopped before it begins.

Reads lines of JSON, [operation, folder, incoming file]; prints the child's id, and its wait status when it has ended.
"""

import json
import os
import signal
import stat
import sys
from pathlib import Path

from edge_runtime.store.moment import Moment
from edge_runtime.store.store import Store


def add(store: Store, incoming: Path) -> None:
    store.add(incoming, by="child")


def switch(store: Store, incoming: Path) -> None:
    store.switch("3", by="child")


def switch_on_trial(store: Store, incoming: Path) -> None:
    store.switch("3", healthy_s=30, by="child")


def rollback(store: Store, incoming: Path) -> None:
    store.rollback(leaving="2", by="child")


def rollback_trial(store: Store, incoming: Path) -> None:
    store.rollback(leaving="3", by="child")


def confirm_trial(store: Store, incoming: Path) -> None:
    store.confirm("3", by="child")


def started_trial(store: Store, incoming: Path) -> None:
    store.started(by="child")


started_once_too_often = started_trial


def settle_late(store: Store, incoming: Path) -> None:
    store.settle(by="child")


def keep(store: Store, incoming: Path) -> None:
    store.keep(1, by="child")


def shorten_history(store: Store, incoming: Path) -> None:
    store.switch("3", by="child")


def install(store: Store, incoming: Path) -> None:
    store.add(incoming, by="child")
    store.switch("4", by="child")


def without_fsync(store: Store, incoming: Path) -> None:
    """What must not pass the tests, as the next two: it is left to the kernel when bytes and names reach the disk."""
    os.fsync = lambda handle: None
    install(store, incoming)


def without_fsync_of_files(store: Store, incoming: Path) -> None:
    fsync = os.fsync
    os.fsync = lambda handle: fsync(handle) if stat.S_ISDIR(os.fstat(handle).st_mode) else None
    install(store, incoming)


def without_fsync_of_folders(store: Store, incoming: Path) -> None:
    fsync = os.fsync
    os.fsync = lambda handle: None if stat.S_ISDIR(os.fstat(handle).st_mode) else fsync(handle)
    install(store, incoming)


def by_unlinking(store: Store, incoming: Path) -> None:
    """What must not pass the tests: `ln -sf`."""
    os.unlink(store.folder / "current")
    os.symlink("3.tflite", store.folder / "current")


def later() -> Moment:
    """The end of every trial that began at uptime 100 of this boot; see conftest.py."""
    return Moment("boot 1", 100_000.0, "2026-01-01T00:00:00+00:00")


def soon() -> Moment:
    return Moment("boot 1", 101.0, "2026-01-01T00:00:01+00:00")


def main() -> None:
    for line in sys.stdin:
        operation, folder, incoming = json.loads(line)
        pid = os.fork()
        if pid == 0:
            store = Store(Path(folder), later if operation == "settle_late" else soon)
            os.kill(os.getpid(), signal.SIGSTOP)
            try:
                globals()[operation](store, Path(incoming))
            except BaseException:  # noqa: BLE001  nothing of the child may reach the parent's loop
                sys.excepthook(*sys.exc_info())
                os._exit(1)
            os._exit(0)
        os.waitpid(pid, os.WUNTRACED)
        print(pid, flush=True)
        print(os.waitpid(pid, 0)[1], flush=True)


if __name__ == "__main__":
    main()
