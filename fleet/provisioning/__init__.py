"""First contact: what a machine needs to run litelens, brought over ssh or on its card."""
