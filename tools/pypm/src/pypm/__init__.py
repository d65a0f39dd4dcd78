"""The command line of pypm."""
