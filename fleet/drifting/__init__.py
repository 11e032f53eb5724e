"""Which devices see other things than their model was validated on."""
