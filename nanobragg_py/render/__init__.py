"""Render: from a resolved experiment to the float image and its noise, on the CPU and on the GPU."""
