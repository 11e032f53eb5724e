"""The versions of a model on a device: which one answers, which one before, and a way back that survives a power cut."""
