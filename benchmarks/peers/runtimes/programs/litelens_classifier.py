"""litelens itself, on nothing but what it installs on a device."""

import sys
from pathlib import Path

import numpy as np
from settings import Settings

sys.path.insert(0, str(Path(__file__).parents[4]))

from edge_runtime import Classifier


class Litelens:
    def __init__(self, settings: Settings):
        self._classifier = Classifier(settings.model, settings.threads)
        interpreter = self._classifier.interpreter
        self.version = f"{interpreter.library} {interpreter.version}"

    def classify(self, frame: np.ndarray) -> str:
        return self._classifier.classify(frame)[0].label

    def probabilities(self, picture: np.ndarray) -> np.ndarray:
        return self._classifier.probabilities(self._classifier.invoke(picture[np.newaxis]))


load = Litelens
