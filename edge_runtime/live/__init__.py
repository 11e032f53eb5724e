"""The loop from camera to sinks, and what it tells of itself."""
