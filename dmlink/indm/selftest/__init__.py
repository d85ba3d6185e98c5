"""The self-test: asks a real GMS what nobody has published, and writes the answers to one file."""
