"""Drawing: the figures of a page, with their curves, pictures, axes and marks."""
