"""Controls: the inputs of a view or a cell, and the text next to them."""
