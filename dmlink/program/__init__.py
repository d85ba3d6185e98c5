"""Program: a cell's text, turned into a module that runs anywhere."""

from dmlink.program.program import Program

__all__ = ["Program"]
