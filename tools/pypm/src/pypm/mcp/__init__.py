"""The face for agents: verbs and the memory over the Model Context Protocol. Only ``pypm mcp`` loads it."""
