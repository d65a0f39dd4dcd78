"""What `pypm doctor` asks of a machine and a workspace: one function for each check, findings out."""
