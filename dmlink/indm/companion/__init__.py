"""Companion: the script that streams the live view out of DigitalMicrograph."""
