"""The self-test: finds out how a real GMS behaves where nothing is published, and writes one file."""
