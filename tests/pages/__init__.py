"""Tests of pages in a real browser; a package, so that their shared fixtures end with the last of them."""
