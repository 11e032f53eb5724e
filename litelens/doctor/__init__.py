"""What is wrong with a machine that shall watch a camera, and how to mend it; without NumPy, which may be the trouble."""
