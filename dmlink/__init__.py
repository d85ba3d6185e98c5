"""Live analysis of an electron microscope's frames in Jupyter."""

import lazy_loader

__version__ = "0.2.0"

# The names and where they come from are in __init__.pyi; each is imported when it is first used, so that
# `dmlink --version` and a cell's process load no more than they need.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
