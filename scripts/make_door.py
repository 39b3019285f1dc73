"""Write src/likeness/__init__.pyi, which type checkers read, from the door's one table of names.

python scripts/make_door.py
"""

from __future__ import annotations

from pathlib import Path

import likeness


def stubs() -> str:
    """Return the text of the stub file."""
    lines = ["# Written by scripts/make_door.py from the table in __init__.py.", ""]
    for module, names in sorted(likeness._HOMES.items()):
        lines += [f"from likeness.{module} import {name} as {name}" for name in sorted(names)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the file beside the door."""
    door = Path(likeness.__file__).with_name("__init__.pyi")
    door.write_text(stubs(), encoding="utf-8")
    print(door.name)


if __name__ == "__main__":
    main()
