"""Files of any origin: opened once, in one way, with a limit on everything that they can ask for.

The lowest place that touches a disk, so that every reader above uses the same functions: one per
format, each of which ends in the caller's own kind of error. Nothing here knows what a shot is.
"""

from likeness.files.arrays import read_npy, read_npz
from likeness.files.causes import why_unreadable, why_unwritable
from likeness.files.locks import locked
from likeness.files.places import cache_folder, data_folder
from likeness.files.regular import kind_of, open_regular, read_regular, sha256_of_file
from likeness.files.sheets import Sheet, open_sheet
from likeness.files.texts import decoded, parse_json, parse_toml, read_json, read_pem, read_toml
from likeness.files.writing import replaced

__all__ = [
    "Sheet",
    "cache_folder",
    "data_folder",
    "decoded",
    "kind_of",
    "locked",
    "open_regular",
    "open_sheet",
    "parse_json",
    "parse_toml",
    "read_json",
    "read_npy",
    "read_npz",
    "read_pem",
    "read_regular",
    "read_toml",
    "replaced",
    "sha256_of_file",
    "why_unreadable",
    "why_unwritable",
]
