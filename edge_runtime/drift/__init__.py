"""Whether a device sees what its model was validated on: its scores and labels against the validation split's."""
