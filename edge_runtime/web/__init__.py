"""The live page: what the camera sees and how the device does, in a browser; and the same for Prometheus and scripts."""
