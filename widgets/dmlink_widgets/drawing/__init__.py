"""Drawing: figures with their curves, pictures, axes and marks."""
