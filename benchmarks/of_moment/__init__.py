"""The parts of `dmlink bench moment`, one measurement a module."""
