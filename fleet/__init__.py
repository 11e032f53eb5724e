"""From a proven model file to many devices: over ssh, or through a signed repository that they follow."""
