"""What a run is worth: evaluate, compare and predict."""
