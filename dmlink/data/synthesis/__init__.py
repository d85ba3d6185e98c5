"""Synthesis: how each synthetic recording is computed, with its truth."""
