"""Native plugins of pypm: judged before they are loaded, run in a process of their own."""
