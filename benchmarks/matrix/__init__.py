"""Many models in many interpreters: each pair in a process of its own, all of them in turns."""
