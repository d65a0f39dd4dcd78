"""The command line: one module per verb below `verbs`, words and colours below `render`."""
