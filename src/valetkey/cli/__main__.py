"""``python -m valetkey.cli`` is ``valetkey``."""

import sys

from valetkey.cli import main

if __name__ == "__main__":
    sys.exit(main())
