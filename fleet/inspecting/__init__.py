"""How devices do, what was done to them, and the way back."""
