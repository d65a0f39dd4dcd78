"""What a sandbox is made of: its environment, its view of the files, and what changed in it."""
