"""One verb, one file: where the rooms meet. No printing here: a verb returns a report."""
