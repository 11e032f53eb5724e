"""Looks at a repository with copies of a device's state, and dies before each change to the disk (tests/support/dying.py).

python interrupting.py REQUEST.json FOLDER: FOLDER/0 is the state.
"""

import json
import sys
from pathlib import Path

from dying import at_each_step

from edge_runtime.updating.fetching import Limits, Request, fetch


def main(fields: dict, folder: Path) -> None:
    limits = Limits(**fields.pop("limits"))
    at_each_step(folder, lambda copy: fetch(Request(**fields | {"folder": str(copy), "limits": limits})))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2]))
