"""Other machines, reached over ssh: commands are run and files copied there."""
