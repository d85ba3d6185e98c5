"""The parts of the soak: a laboratory with three notebooks, what befalls it, what is seen."""
