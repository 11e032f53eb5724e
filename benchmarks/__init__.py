"""Measures model files: latency, memory, and what they were measured on."""
