"""Persistent memory in one sqlite file, shared by processes: `pypm_memory.memory.Memory`."""
