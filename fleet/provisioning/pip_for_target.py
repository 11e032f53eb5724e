"""pip, run as a program of its own, for another machine's Python.

`pip download --platform --python-version` chooses wheels for that machine, but reads the markers of requirements
(`platform_machine == "aarch64"`) for the one that it runs on: https://github.com/pypa/pip/issues/11664.
"""

import json
import sys


def main() -> int:
    """Runs pip with the arguments after the first, which is a JSON object: marker variables and their values."""
    from pip._internal.cli.main import main as pip
    from pip._vendor.packaging import markers

    target = {**markers.default_environment(), **json.loads(sys.argv[1])}
    markers.default_environment = lambda: target
    return pip(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
