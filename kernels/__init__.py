"""The compiled side: formulas that gcc and NVRTC share, loops, noise, text and pixels of files, memory."""
