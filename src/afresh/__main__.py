"""``python -m afresh``: the command line."""

import sys

from afresh.cli import main

sys.exit(main())
