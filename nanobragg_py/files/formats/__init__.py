"""Image formats, one module each: what a module states in its FORMAT is all that the tools know of the format."""
