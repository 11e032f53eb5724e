"""From folders of pictures to a float Keras model in a run folder."""
