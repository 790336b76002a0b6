"""``python -m vila2`` is the ``vila2`` command."""

from vila2.cli.main import main

main()
