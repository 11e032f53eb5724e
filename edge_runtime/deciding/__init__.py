"""From scores over time to what is in view."""
