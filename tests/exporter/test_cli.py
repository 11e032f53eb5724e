"""What is refused before an export starts."""

import subprocess
import sys

import pytest

RUN = ("runs/absent", "--out", "m.tflite")
FROM = ("--from", "m.keras", "--out", "m.tflite")
OF_FOREIGN = ("--labels", "labels.txt", "--data", "pictures", "--mean", "127.5", "--std", "127.5")
WHAT_WAS_IMPORTED = """
import sys
from litelens.cli import main
try:
    main(["export", *sys.argv[1:]])
except SystemExit as ended:
    print(ended.code, "tensorflow" in sys.modules)
"""


def without(name: str) -> tuple[str, ...]:
    at = OF_FOREIGN.index(name)
    return OF_FOREIGN[:at] + OF_FOREIGN[at + 2 :]


@pytest.mark.parametrize(
    "arguments, says",
    [
        (("--out", "m.tflite"), "name a run folder, or give --from MODEL, and not both"),
        ((*FROM, *OF_FOREIGN, "runs/parts"), "name a run folder, or give --from MODEL, and not both"),
        (("runs/absent",), "Missing option '--out'"),
        ((*RUN, "--labels", "labels.txt"), "--labels goes with --from"),
        ((*RUN, "--data", "pictures"), "--data goes with --from"),
        ((*RUN, "--mean", "0"), "--mean goes with --from"),
        (FROM, "--from needs --labels, --data, --mean, --std; given: none"),
        ((*FROM, *without("--mean")), "given: --labels, --data, --std"),
        ((*FROM, *without("--labels")), "given: --data, --mean, --std"),
        ((*FROM, *without("--std"), "--std", "0"), "'--std': 0.0 is not in the range x>0"),
        ((*FROM, *without("--std"), "--std", "inf"), "'--std': inf is no finite number"),
        ((*FROM, *without("--mean"), "--mean", "nan"), "'--mean': nan is no finite number"),
        ((*FROM, *without("--mean"), "--mean", "-127.5"), "'--mean': -127.5 is not in the range 0<=x<=255"),
        ((*RUN, "--candidates", "nonsense"), "'nonsense' is none of float16, dynamic-range, ptq, qat"),
        ((*RUN, "--candidates", "ptq,"), "'' is none of float16"),
        ((*RUN, "--candidates", "float16"), "'float16' has neither ptq nor qat"),
        ((*RUN, "--candidates", "float32,ptq"), "float32 is always made"),
        ((*RUN, "--calibration", "0"), "'--calibration': 0 is not in the range x>=1"),
        ((*RUN, "--qat-epochs", "-1"), "'--qat-epochs': -1 is not in the range x>=0"),
        ((*RUN, "--precision", "2"), "'--precision': 2.0 is not in the range 0<=x<=1"),
        ((*RUN, "--precision", "nan"), "'--precision': nan is no finite number"),
        ((*RUN, "--max-drop", "nan"), "'--max-drop': nan is no finite number"),
        ((*RUN, "--min-ratio", "inf"), "'--min-ratio': inf is no finite number"),
        ((*RUN, "--max-class-drop", "-inf"), "'--max-class-drop': -inf is no finite number"),
        ((*RUN, "--gate", "maybe"), "'maybe' is not one of 'on', 'off'"),
    ],
)
def test_wrong_usage_exits_2_before_tensorflow_is_imported(tmp_path, arguments, says):
    command = [sys.executable, "-c", WHAT_WAS_IMPORTED, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert ended.stdout == "2 False\n", ended.stderr
    assert says in " ".join(ended.stderr.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow  # imports TensorFlow
@pytest.mark.parametrize(
    "arguments, says",
    [
        (("runs/absent", "--out", "folder.tflite"), "folder.tflite is a directory"),
        (RUN, "runs/absent"),
        ((*FROM, *OF_FOREIGN), "labels.txt"),
    ],
)
def test_what_cannot_be_exported_exits_1_with_a_hint(litelens_here, tmp_path, arguments, says):
    (tmp_path / "folder.tflite").mkdir()
    ended = litelens_here("export", *arguments, cwd=tmp_path)
    error, hint = ended.stderr.splitlines()[-2:]
    assert ended.exit_code == 1 and ended.stdout == ""
    assert error.startswith("error: ") and says in error
    assert hint.startswith("hint: ") and len(hint) > 10
    assert [path.name for path in tmp_path.iterdir()] == ["folder.tflite"]
