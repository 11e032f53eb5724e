"""Does one thing to copies of a repository and dies before each change to the disk (tests/support/dying.py).

python interrupting.py WHAT FOLDER MODEL.tflite: FOLDER/0 holds site/ and keys/. WHAT is publish, rotate or create.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from dying import at_each_step

from fleet.repository.keys import Keyring
from fleet.repository.publishing import publish
from fleet.repository.repository import create, locked, open_repository
from fleet.repository.roles import change_role


def do(what: str, folder: Path, model: Path) -> None:
    site, now = folder / "site", datetime.now(UTC)
    keys = Keyring((folder / "keys",), lambda path, new: "correct horse battery")
    if what == "publish":
        publish(model, site, keys, now, channel="stable", buckets=10_000)
        return
    with locked(site):
        if what == "create":
            create(site, keys, now)
            return
        repository = open_repository(site, keys.trusted_root)
        old = repository.root.signed.roles["timestamp"].keyids
        change_role(repository, keys, "timestamp", add_key=True, remove_keys=old)
        repository.write(keys, now)


def main(what: str, folder: Path, model: Path) -> None:
    at_each_step(folder, lambda copy: do(what, copy, model))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
