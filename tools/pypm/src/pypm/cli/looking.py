"""For verbs that look for findings: that they could not look is told from a finding by the exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TypeVar

from pypm.cli.options import Common
from pypm.cli.render.errors import render_error, render_unexpected
from pypm_model.errors import PypmError

T = TypeVar("T")

COULD_NOT_LOOK = 2


def looked(common: Common, look: Callable[[], T]) -> T | None:
    """What *look* gives; None if it raised, which is told: then the verb ends with `COULD_NOT_LOOK`, whatever
    it was, since it may not be taken for a finding."""
    try:
        return look()
    except PypmError as error:
        sys.stderr.write(render_error(error, json=common.json))
    except Exception as error:
        if os.environ.get("PYP_DEBUG"):
            raise
        sys.stderr.write(render_unexpected(error, json=common.json))
    return None
