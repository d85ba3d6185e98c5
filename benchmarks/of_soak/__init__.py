"""The parts of the soak: a laboratory with three notebooks, its faults, and what is observed."""
