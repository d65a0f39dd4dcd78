"""What `pypm check` asks of a workspace: one module for each check, findings out."""
