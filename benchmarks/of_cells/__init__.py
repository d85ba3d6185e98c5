"""The parts of `dmlink bench cells`, one measurement a module."""
