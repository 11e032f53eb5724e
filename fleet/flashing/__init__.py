"""`litelens flash`: a model file to one device or many, which try it themselves and go back by themselves."""
