"""The names of the models that an export makes of one float model."""

REFERENCE = "float32"
"""What the others are measured against."""
INT8 = ("ptq", "qat")
"""Full int8 by post-training quantization and by quantization-aware training: what a device is given."""
CANDIDATES = ("float16", "dynamic-range", *INT8)
