"""litelens beside other runtimes, from a frame in memory to its label: `make bench-peers`, docs/bench-peers.md.

Each runtime is in an environment of its own, made from environments/, and runs a script of programs/ there.
"""
