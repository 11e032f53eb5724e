"""What following costs: one device's look on the wire, what one static server bears, and from both a million devices."""
