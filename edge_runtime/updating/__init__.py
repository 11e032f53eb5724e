"""Signed updates: asks a repository for a newer model, verifies it, has it installed, or refuses it."""
