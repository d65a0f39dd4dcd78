"""The commands, a module each; every one is imported only when it is run."""
