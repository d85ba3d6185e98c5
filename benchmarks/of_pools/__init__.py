"""The parts of `dmlink bench pools`."""
