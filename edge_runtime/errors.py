"""Every error that litelens expects, in one tree.

An error is an instruction: what went wrong, the value, what was expected, and what to do next.
The command line prints ``error:`` and ``hint:`` to stderr and exits with `exit_code`.
"""


class LitelensError(Exception):
    """Base of all expected errors."""

    exit_code = 1

    def __init__(self, message: str, hint: str):
        """Takes what went wrong, with the value and what was expected, and the next thing to do."""
        super().__init__(message)
        self.hint = hint


class ModelFileError(LitelensError):
    """The model file is missing, damaged, foreign, or contradicts itself."""


class InterpreterError(LitelensError):
    """No TFLite interpreter is installed, or it refused the model."""


class SelfTestFailed(LitelensError):
    """The interpreter's answers differ from those the exporter saw by more than the model file allows."""


class FrameError(LitelensError):
    """A frame is no RGB uint8 picture."""


class PictureError(LitelensError):
    """A file is no readable picture."""


class SourceError(LitelensError):
    """A camera, video or folder cannot be opened or ended before its first frame."""


class MissingExtraError(LitelensError):
    """A verb needs an optional part of litelens that is not installed."""


class DataError(LitelensError):
    """The training pictures cannot be used as they are."""


class ConfigError(LitelensError):
    """A setting is unknown or has a value outside what is allowed."""


class WeightsError(LitelensError):
    """The backbone's weights cannot be found or do not fit."""


class RunFolderError(LitelensError):
    """A run folder is missing, incomplete or in the way."""


class WriteError(LitelensError):
    """A file cannot be written where it was asked for."""


class FidelityError(LitelensError):
    """The quantization-aware model and its .tflite are not the same model."""


class ForeignModelError(LitelensError):
    """A model that litelens did not train cannot be exported as it is."""


class CompilerError(LitelensError):
    """The Edge TPU compiler refused the model."""


class GateMissed(LitelensError):
    """No candidate is accurate enough; nothing was written."""

    exit_code = 3
