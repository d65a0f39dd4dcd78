"""How fast pypm is, beside uv, pip and poetry on the same work: ``python3 benchmarks/run.py``."""
