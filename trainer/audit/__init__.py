"""What is wrong with a set of pictures, found before a model learns it."""
