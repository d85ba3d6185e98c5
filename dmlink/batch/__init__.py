"""Batch: a program on every frame of a recording, on all cores or a cluster."""

from dmlink.batch.growing import process_growing
from dmlink.batch.processing import process

__all__ = ["process", "process_growing"]
