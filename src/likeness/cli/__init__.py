"""The command line: one file per verb.

Standard output carries the answer, standard error everything else. Exit codes: 0 done, 1 could not
do it, 2 wrong usage, 3 done but some frames fell back.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    # Imported here, so that `import likeness.cli` stays cheap for whoever only wants the name.
    from likeness.cli.app import run

    sys.exit(run(sys.argv[1:] if arguments is None else arguments))
