"""Parts of the gallery's benchmark."""
