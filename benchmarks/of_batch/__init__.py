"""The parts of `dmlink bench batch`, one measurement a module."""
