"""The front door: the `litelens` command and the demonstration."""
