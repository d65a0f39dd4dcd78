"""``python -m pypm``."""

from __future__ import annotations

from pypm._entry import program

if __name__ == "__main__":
    program()
