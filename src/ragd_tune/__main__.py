"""``python -m ragd_tune``."""

from ragd_tune.cli import main

main()
