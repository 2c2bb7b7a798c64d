"""`python -m mejax`, the same as the command `mejax`."""

from mejax import cli

cli.run()
