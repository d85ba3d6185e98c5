"""The parts of `dmlink bench remote`."""
