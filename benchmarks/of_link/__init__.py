"""The parts of `dmlink bench link`, one measurement a module."""
