"""Flags: what the words of a command line mean, from the table of rules to the options they set."""
