"""A signed repository of model files, after The Update Framework (https://theupdateframework.io): made and maintained here."""
