"""Runs Google's edgetpu_compiler and reads its log."""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import CompilerError

MAPPED = "Mapped to Edge TPU"

# https://coral.ai/docs/edgetpu/compiler/: system requirements, download, usage; the container is any Debian that still
# has apt-key, which Debian 13 dropped.
HOW_TO_GET = """\
edgetpu_compiler is not on the PATH. Google ships it for x86-64 Debian and Ubuntu only:
  curl https://packages.cloud.google.com/apt/doc/apt-key.gpg | sudo apt-key add -
  echo "deb https://packages.cloud.google.com/apt coral-edgetpu-stable main" \\
    | sudo tee /etc/apt/sources.list.d/coral-edgetpu.list
  sudo apt-get update && sudo apt-get install edgetpu-compiler
Elsewhere, in a container, where the same lines work without sudo after apt-get install curl gnupg:
  docker run --rm -it --platform linux/amd64 -v "$PWD":/models -w /models debian:12
Then export again. By hand, which leaves out the labels and the manifest:
  edgetpu_compiler -s NAME.tflite"""


@dataclass(frozen=True)
class LoggedOperator:
    """A line of the compiler's table."""

    name: str
    """As in the schema: "CONV_2D"; a custom operator is "CUSTOM"."""
    count: int
    status: str
    """MAPPED, or the compiler's words on why these run on the CPU."""

    @property
    def mapped(self) -> bool:
        """True if these run on the Edge TPU."""
        return self.status == MAPPED


@dataclass(frozen=True)
class Compilation:
    """A compiled model and what the compiler's log says of it."""

    model: bytes
    """The compiled .tflite: one operator, edgetpu-custom-op, stands for all that were mapped."""
    subgraphs: int
    """Parts that run on the Edge TPU."""
    operators: tuple[LoggedOperator, ...]
    """The table, in the compiler's order."""
    on_chip_used_bytes: int
    """Parameters that stay in the Edge TPU's memory."""
    off_chip_bytes: int
    """Parameters streamed to the Edge TPU in every inference."""
    compiler_version: str
    """As in "16.0.384591198"."""


def find() -> Path | None:
    """The edgetpu_compiler on the PATH; None where there is none, and HOW_TO_GET says what to do."""
    found = shutil.which("edgetpu_compiler")
    return Path(found) if found else None


def compile_for_tpu(model: bytes, compiler: Path) -> Compilation:
    """Compiles a TFLite model for the Edge TPU. The compiler gives up by itself after 180 s.

    Args:
        model: A fully quantized TFLite model.
        compiler: What find() found.

    Raises:
        CompilerError: If the compiler refuses the model, quoting its log.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, compiled = Path(folder, "model.tflite"), Path(folder, "model_edgetpu.tflite")
        source.write_bytes(model)
        done = subprocess.run(
            [compiler, "-s", "-o", folder, source],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        # A failed compilation can leave an empty file: google-coral/edgetpu issue 409.
        if done.returncode or not compiled.exists() or not compiled.stat().st_size:
            raise _refusal(done.stdout)
        table = compiled.with_suffix(".log")
        # With -s the table is printed too; the file is there without it.
        return read_log(
            done.stdout, table.read_text() if table.exists() else done.stdout, compiled.read_bytes()
        )


def read_log(printed: str, table: str, model: bytes = b"") -> Compilation:
    """Reads what a compilation that succeeded says.

    Args:
        printed: What the compiler printed.
        table: Text with the table of operators: the file NAME_edgetpu.log, or what was printed with -s.
        model: The compiled model.

    Raises:
        CompilerError: If a figure is missing.
    """
    return Compilation(
        model=model,
        subgraphs=int(_field(printed, "Number of Edge TPU subgraphs: ", r"\d+")),
        operators=read_table(table),
        on_chip_used_bytes=_size(printed, "On-chip memory used for caching model parameters: "),
        off_chip_bytes=_size(printed, "Off-chip memory used for streaming uncached model parameters: "),
        compiler_version=_field(printed, "Edge TPU Compiler version ", r"[\d.]+"),
    )


def read_table(text: str) -> tuple[LoggedOperator, ...]:
    """Reads the table of operators, from the log file or from what was printed with -s; () where there is none."""
    _, _, lines = text.partition("Status")
    rows = re.findall(r"^([A-Z]\w+) +(\d+) +(\S.*\S) *$", lines, re.MULTILINE)
    return tuple(LoggedOperator(name, int(count), status) for name, count, status in rows)


def _field(text: str, label: str, pattern: str) -> str:
    found = re.search(f"^{re.escape(label)}({pattern})", text, re.MULTILINE)
    if not found:
        raise CompilerError(
            f"the log of edgetpu_compiler has no line '{label.strip()}'",
            "this reads the logs of compiler 15 and 16; edgetpu_compiler -v tells yours",
        )
    return found[1]


def _size(text: str, label: str) -> int:
    """Bytes of a size such as "3.21MiB"."""
    size = _field(text, label, r"[\d.]+(?:[KMG]i)?B")
    number = float(re.match(r"[\d.]+", size)[0])
    return round(number * 1024 ** " KMG".index(size[-3] if size.endswith("iB") else " "))


# What begins the line of a failed log that tells most, best first, and what helps.
_REFUSALS = (
    (
        "ERROR: Didn't find op",
        "the compiler reads the operator versions of TensorFlow 2.5 and no newer ones: write the model with older ones",
    ),
    ("ERROR: Encountered unresolved custom op", "leave this operator out of the model"),
    ("Compilation failed: Compilation failed due to large activation", "train with a smaller --size"),
    ("Compilation failed: ", "the check without the compiler lists each operator"),
    ("Model not quantized", "the compiler takes int8 models with a constant batch of one"),
    ("Model could not be parsed", "the check without the compiler lists each operator and its version"),
    ("Internal compiler error", "try another --size; the compiler tells no more"),
)


def _refusal(printed: str) -> CompilerError:
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    for beginning, hint in _REFUSALS:
        for line in lines:
            if line.startswith(beginning):
                return CompilerError(f"edgetpu_compiler refused the model: {line}", hint)
    last = lines[-1] if lines else "it printed nothing"
    return CompilerError(
        f"edgetpu_compiler wrote no model: {last}", "run it by hand: edgetpu_compiler -s NAME.tflite"
    )
