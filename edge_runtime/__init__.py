"""Classifies camera frames on small devices: NumPy, Pillow, click and an interpreter, never TensorFlow."""

from edge_runtime.classifier import Classifier, Prediction

__all__ = ["Classifier", "Prediction"]
