"""Who may import whom: read from the source of every module, so that a lazy import counts too."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
MAY_IMPORT = {
    "edge_runtime": set(),
    "trainer": {"edge_runtime"},
    "exporter": {"trainer", "edge_runtime"},
    "benchmarks": {"edge_runtime", "fleet"},
    "fleet": {"edge_runtime", "trainer"},  # which pictures look alike; where the cache is
    # Every other room only by name, when its verb is called.
    "litelens": {"edge_runtime"},
}
TENSORFLOW = {"tensorflow", "keras", "tf_keras", "tensorflow_model_optimization"}
# A Raspberry Pi installs these and an interpreter, which is imported by name.
ON_A_DEVICE = {"numpy", "PIL", "click"}
# Extras, and what Debian packages for a Pi: imported when they are used.
WHEN_USED = {"cv2", "picamera2", "paho", "starlette", "uvicorn", "h11", "gpiozero", "tuf"}


class Import(NamedTuple):
    module: str
    line: int
    lazy: bool
    """Inside a function: it happens when the function is called."""


def imports_of(path: Path) -> Iterator[Import]:
    yield from _imports(ast.parse(path.read_text()), lazy=False)


def _imports(node: ast.AST, lazy: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name.partition(".")[0], child.lineno, lazy) for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and not child.level:
            yield Import(child.module.partition(".")[0], child.lineno, lazy)
        yield from _imports(
            child, lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        )


def modules(*rooms: str) -> list[Path]:
    """All but benchmarks/peers: what others do runs in processes of its own."""
    found = [path.relative_to(ROOT) for room in rooms for path in sorted((ROOT / room).rglob("*.py"))]
    assert found
    return [path for path in found if "peers" not in path.parts]


@pytest.mark.parametrize("path", modules(*MAY_IMPORT), ids=str)
def test_rooms_import_only_what_the_plan_allows(path):
    room = path.parts[0]
    allowed = MAY_IMPORT[room] | {room}
    wrong = [i for i in imports_of(ROOT / path) if i.module in MAY_IMPORT and i.module not in allowed]
    assert not wrong


@pytest.mark.parametrize("path", modules("litelens", "edge_runtime", "benchmarks", "fleet"), ids=str)
def test_tensorflow_lives_in_trainer_and_exporter_alone(path):
    assert not [i for i in imports_of(ROOT / path) if i.module in TENSORFLOW]


@pytest.mark.parametrize("path", modules("edge_runtime", "benchmarks", "litelens"), ids=str)
def test_a_device_installs_little(path):
    for imported in imports_of(ROOT / path):
        if imported.module in sys.stdlib_module_names or imported.module in MAY_IMPORT:
            continue
        allowed = ON_A_DEVICE | (WHEN_USED if imported.lazy and path.parts[0] != "litelens" else set())
        assert imported.module in allowed, imported


def test_the_walk_sees_lazy_and_dotted_imports(tmp_path):
    (tmp_path / "module.py").write_text(
        "import os.path\nfrom a.b import c\nif 1:\n    import d\ndef f():\n    import e\nfrom . import g\n"
    )
    assert list(imports_of(tmp_path / "module.py")) == [
        ("os", 1, False), ("a", 2, False), ("d", 4, False), ("e", 6, True),
    ]  # fmt: skip
