"""The model of the refresh protocol: what the rules promise, and what no rule can.

It has what the explorer of interleavings leaves out to stay exhaustive over the real functions: hosts beside one
another, processes that are started again, three of them, two faults at once.
"""

from __future__ import annotations

import sys
from pathlib import Path

from shared.unmeasured import unmeasured

sys.path.insert(0, str(Path(__file__).parent))  # tests are not packages; what they share here is `modelled`

__all__ = ["unmeasured"]  # a fixture: nothing of the package runs here
