"""A lock as one archive: interpreter, distributions, digests. The README says which module answers what."""
