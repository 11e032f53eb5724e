"""What runs in a process of its own and may import what it needs: other people's recipes, the parts of a training."""
