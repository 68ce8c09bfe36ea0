#!/usr/bin/env python
"""Django's command line."""

import os
import sys

from environs import EnvError

from xfhandyman import embedded


def main() -> None:
    """Run one command; a fault of the set-up is told in one line, without a stack."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "xfhandyman.settings")
    from django.core.management import execute_from_command_line

    try:
        embedded.stand_in()
        execute_from_command_line(sys.argv)
    except (embedded.EmbeddedPostgresError, EnvError) as error:
        sys.exit(f"XFHandyman: {error}")


if __name__ == "__main__":
    main()
