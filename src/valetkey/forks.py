"""Imports and forks: a child that is forked while another thread imports would wait for that thread for ever.

The interpreter gives a forked child fresh locks of its own, but not for modules that some thread was just importing.
So imports that happen late, in flights, are made under `late_imports`, and a fork waits until nobody holds it.
"""

from __future__ import annotations

import os
import threading

late_imports = threading.RLock()
"""Held around imports that are made on first use, in threads."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=late_imports.acquire,
        after_in_parent=late_imports.release,
        after_in_child=late_imports.release,
    )
