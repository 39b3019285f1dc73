"""Bundles, shots, face models and resume states on disk: safetensors beside JSON.

The only package (with `importers`) that reads or writes weight files. Every folder is written
under another name and renamed when whole; every tensor file of a bundle, shot or state is checked
against its sha256 when it is read.
"""

from likeness.store.bundles import load_bundle, read_bundle_index, save_bundle
from likeness.store.face_models import load_face_model, save_face_model
from likeness.store.shots import (
    cache_shots,
    cached_shots,
    load_shot,
    save_shot,
    shot_cache,
)
from likeness.store.states import has_state, load_state, remove_state, save_state
from likeness.store.tables import read_table, write_table

__all__ = [
    "cache_shots",
    "cached_shots",
    "has_state",
    "load_bundle",
    "load_face_model",
    "load_shot",
    "load_state",
    "read_bundle_index",
    "read_table",
    "remove_state",
    "save_bundle",
    "save_face_model",
    "save_shot",
    "save_state",
    "shot_cache",
    "write_table",
]
