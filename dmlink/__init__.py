"""Live analysis of an electron microscope's frames in Jupyter."""

__version__ = "0.1.0.dev0"
