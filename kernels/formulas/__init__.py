"""Formulas: the physics as small pure functions in C headers."""
