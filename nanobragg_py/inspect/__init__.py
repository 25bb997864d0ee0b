"""Inspect: what an image, a run or a command line is made of: traces, comparisons, explanations, pictures."""
