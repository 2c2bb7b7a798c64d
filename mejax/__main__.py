"""`python -m mejax`, the same as the command `mejax`."""

import sys

from mejax import cli

sys.exit(cli.main())
