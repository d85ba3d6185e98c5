"""`python -m dmlink` is `dmlink`."""

import sys

from dmlink.cli import main

sys.exit(main())
