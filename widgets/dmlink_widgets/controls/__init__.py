"""Controls: what sets a view or a cell, and the texts beside it."""
