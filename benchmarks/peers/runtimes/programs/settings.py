"""What a program is told when it starts; plain, as it is read in an environment without litelens."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """One model, ready to be loaded."""

    model: str
    """The path of a .tflite or .onnx."""
    labels: tuple[str, ...]
    """One a class, in the order of the model's output."""
    size: tuple[int, int]
    """(height, width) of the model's input."""
    input_scale: float
    """Of the int8 model's input, which its float twin is fed like: real value = (pixel - zero point) * scale."""
    input_zero_point: int
    output_scale: float
    """Probability = (output - zero point) * scale, where the output is of integers."""
    output_zero_point: int
    threads: int
    """As many as the runtime may use, where it lets itself be told."""
    resize: str = ""
    """Which of its ways a program with several is to take."""
