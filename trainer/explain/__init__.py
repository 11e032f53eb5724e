"""What a run sees: ideal pictures of a class, and pictures that fool it."""
