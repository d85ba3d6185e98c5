"""The parts of `dmlink bench notebook`."""
