"""Engine: the worker processes that run live cells."""

from dmlink.engine.pool import engine

__all__ = ["engine"]
