"""Link: the client of a companion."""

from dmlink.link.link import Link, connect
from dmlink.link.requests import Source

__all__ = ["Link", "Source", "connect"]
