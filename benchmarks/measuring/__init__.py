"""What `litelens bench` does: one model measured on this machine in one run, into a card."""
