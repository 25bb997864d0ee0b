"""Memory: buffers that Python, numpy and typed memoryviews see without a copy."""
