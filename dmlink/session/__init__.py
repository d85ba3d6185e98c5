"""Session: what has happened on a link since it was made, for the timeline and the report."""

from dmlink.session.session import Session

__all__ = ["Session"]
