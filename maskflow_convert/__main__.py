"""`python -m maskflow_convert`."""

import sys

from maskflow_convert.cli import main

if __name__ == "__main__":
    sys.exit(main())
