"""From a training run to a proven int8 model file."""
