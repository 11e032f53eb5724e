"""What a bench found, as a file that can be kept, read and compared."""
