"""Real logs are read; the compiler itself cannot be had here, so a stand-in prints them."""

import sys
from pathlib import Path

import pytest

from edge_runtime.errors import CompilerError
from exporter.edge_tpu_compiler import HOW_TO_GET, LoggedOperator, compile_for_tpu, find, read_log, read_table

LOGS = Path(__file__).parent / "data" / "edgetpu"
MIB = 2**20


def text(name: str) -> str:
    return (LOGS / f"{name}.log").read_text()


@pytest.mark.parametrize(
    "printed, table, version, subgraphs, used, off_chip, mapped, on_cpu",
    [
        ("yolov5s_224", "yolov5s_224", "16.0.384591198", 2, 6.08 * MIB, 1.7 * MIB, 289, 5),
        ("yolov3_tiny", "yolov3_tiny", "15.0.340273435", 1, 3 * 1024, 0, 2, 34),
        ("efficientdet_printed", "efficientdet", "16.0.384591198", 1, 4.21 * MIB, 0, 264, 3),
    ],
)
def test_what_the_compiler_printed_is_read(
    printed, table, version, subgraphs, used, off_chip, mapped, on_cpu
):
    found = read_log(text(printed), text(table))
    assert (found.on_chip_used_bytes, found.off_chip_bytes) == (round(used), round(off_chip))
    assert (found.compiler_version, found.subgraphs) == (version, subgraphs)
    # The log's own sums: "Number of operations that will run on Edge TPU", "... on CPU".
    assert sum(operator.count for operator in found.operators if operator.mapped) == mapped
    assert sum(operator.count for operator in found.operators if not operator.mapped) == on_cpu


def test_the_table_keeps_the_compilers_words():
    assert read_table(text("mnist4"))[3:5] == (
        LoggedOperator(
            "QUANTIZE",
            1,
            "Operation is otherwise supported, but not mapped due to some unspecified limitation",
        ),
        LoggedOperator("DEQUANTIZE", 1, "Operation is working on an unsupported data type"),
    )
    assert read_table(text("efficientdet_printed")) == ()


def test_a_log_of_another_form_is_named():
    with pytest.raises(CompilerError, match="no line 'Number of Edge TPU subgraphs:'"):
        read_log("Edge TPU Compiler version 17.0.1\n", "")


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Puts an edgetpu_compiler on the PATH that prints a log and writes what it is told to."""

    def make(printed: str, *, compiled: bytes | None, table: str = "", exit_code: int = 0) -> Path:
        program = tmp_path / "edgetpu_compiler"
        program.write_text(
            f"""#!{sys.executable}
import pathlib, sys
show, out, folder, model = sys.argv[1:]
assert (show, out) == ("-s", "-o") and pathlib.Path(model).read_bytes() == b"a model", sys.argv
compiled = pathlib.Path(folder, pathlib.Path(model).stem + "_edgetpu.tflite")
for content in {[] if compiled is None else [compiled]}:
    compiled.write_bytes(content)
for content in {[table] if table else []}:
    compiled.with_suffix(".log").write_text(content)
print({printed!r})
sys.exit({exit_code})
"""
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        return find()

    return make


@pytest.mark.parametrize("table", ["", "efficientdet"], ids=["table printed", "table in the log file"])
def test_a_compilation_brings_the_model_and_its_log(stand_in, table):
    printed = "efficientdet_printed" if table else "yolov5s_224"
    compiler = stand_in(text(printed), compiled=b"compiled", table=text(table) if table else "")
    found = compile_for_tpu(b"a model", compiler)
    assert found.model == b"compiled"
    assert found.operators == read_table(text(table or printed)) != ()


@pytest.mark.parametrize(
    "log, line, hint",
    [
        (
            "failed_version",
            "ERROR: Didn't find op for builtin opcode 'QUANTIZE' version '3'",
            "TensorFlow 2.5",
        ),
        (
            "failed_activations",
            "Compilation failed due to large activation tensors in model.",
            "smaller --size",
        ),
        ("failed_custom", "ERROR: Encountered unresolved custom op: Atan.", "leave this operator out"),
        ("failed_internal", "Internal compiler error. Aborting!", "another --size"),
        ("failed_not_quantized", "Model not quantized", "constant batch"),
        ("failed_silently", "wrote no model: Compilation failed!", "edgetpu_compiler -s"),
    ],
)
@pytest.mark.parametrize("compiled", [None, b""], ids=["no file", "an empty file"])
def test_a_refusal_quotes_the_line_that_tells_most(stand_in, log, line, hint, compiled):
    compiler = stand_in(text(log), compiled=compiled)
    with pytest.raises(CompilerError) as raised:
        compile_for_tpu(b"a model", compiler)
    assert line in str(raised.value) and hint in raised.value.hint


def test_an_exit_code_counts_even_with_a_file(stand_in):
    with pytest.raises(CompilerError, match="wrote no model: it printed nothing"):
        compile_for_tpu(b"a model", stand_in("", compiled=b"compiled", exit_code=1))


def test_without_the_compiler_the_message_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find() is None
    for needed in (
        "x86-64",
        "apt-get install edgetpu-compiler",
        "docker run",
        "edgetpu_compiler -s NAME.tflite",
    ):
        assert needed in HOW_TO_GET
