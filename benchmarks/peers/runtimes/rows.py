"""What is compared: the rows of the table."""

from dataclasses import dataclass

INT8, FLOAT = "int8", "float"
TFLITE, ONNX = "tflite", "onnx"


@dataclass(frozen=True)
class Row:
    """One runtime with one model."""

    name: str
    environment: str
    """Of environments/, without its suffix."""
    program: str
    """Of programs/, without its suffix."""
    model: str
    """INT8: the model file; FLOAT: its float twin."""
    preprocessing: str
    """How the frame becomes the model's input."""
    format: str = TFLITE
    """ONNX: it is converted first."""
    resize: str = ""
    """For a program that knows several ways."""
    answers: bool = True
    """False: it looks at no frame, so its labels mean nothing."""


CENTRE = "centre, bilinear: OpenCV"

LITELENS = Row("litelens", "litelens", "litelens_classifier", INT8, "centre, its rule: NumPy")
FLOOR = Row("bare loop", "interpreter", "interpreter_loop", INT8, CENTRE, resize="bilinear")
SAME_RULE = Row(
    "bare loop, same rule",
    "interpreter",
    "interpreter_loop",
    INT8,
    "centre, litelens's rule: OpenCV",
    resize="litelens rule",
)
MEDIAPIPE = Row("MediaPipe Tasks", "mediapipe", "mediapipe_tasks", INT8, "centre, bilinear: its own")
ONNX_RUNTIME = Row("ONNX Runtime", "onnxruntime", "onnx_runtime", INT8, CENTRE, ONNX)
ROWS = (
    LITELENS,
    FLOOR,
    SAME_RULE,
    Row(
        "bare loop, Pillow",
        "interpreter",
        "interpreter_loop",
        INT8,
        "centre, bicubic: Pillow",
        resize="Pillow",
    ),
    Row("invoke alone", "interpreter", "interpreter_loop", INT8, "none", resize="none", answers=False),
    MEDIAPIPE,
    ONNX_RUNTIME,
    Row("OpenVINO", "openvino", "openvino_runtime", INT8, CENTRE),
    Row("OpenCV DNN", "opencv", "opencv_dnn", INT8, CENTRE, ONNX),
    Row("bare loop", "interpreter", "interpreter_loop", FLOAT, CENTRE, resize="bilinear"),
    Row("ONNX Runtime", "onnxruntime", "onnx_runtime", FLOAT, CENTRE, ONNX),
    Row("OpenVINO", "openvino", "openvino_runtime", FLOAT, CENTRE),
    Row("OpenCV DNN", "opencv", "opencv_dnn", FLOAT, "centre, bilinear: blobFromImage"),
)
