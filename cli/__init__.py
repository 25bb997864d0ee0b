"""The command line: the flag table, its parser, the usage text, and the programs."""
