"""Ways in: one reader for each kind of labelled pictures, behind `open_source`."""
