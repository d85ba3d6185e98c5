"""The parts of `dmlink bench gallery`, one measurement a module."""
