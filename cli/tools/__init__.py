"""The subcommands of nanobragg-py, one module each; see cli/main.py."""
