"""Files: everything that is read or written, one module a format, and the lines that the programs print."""
