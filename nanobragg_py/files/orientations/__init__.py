"""Formats of files that hold a crystal's orientation, one module each, with all that the tools know in its FORMAT."""
