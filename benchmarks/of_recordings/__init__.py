"""The parts of `dmlink bench recordings`, one measurement a module."""
