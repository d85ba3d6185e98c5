"""The parts of `dmlink bench follow`, one measurement a module."""
