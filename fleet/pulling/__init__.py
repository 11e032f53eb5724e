"""The loop back: what devices found hard, and what people saved there, becomes pictures to train on."""
