"""The camera as a systemd service: its unit, the verbs that install it, and what the loop tells systemd."""
