"""``python -m pypm``."""

from __future__ import annotations

import sys

from pypm._entry import main

if __name__ == "__main__":
    sys.exit(main())
