"""Who is it? Faces become codes, codes are compared, and shots of one person are joined."""

from likeness.recognize.embedder import RECOGNIZERS, Embedder, Recognizer, open_recognizer
from likeness.recognize.faces import EmbedConfig, embed_faces, embed_photo, embed_track, identified
from likeness.recognize.join import join, most_like

__all__ = [
    "RECOGNIZERS",
    "EmbedConfig",
    "Embedder",
    "Recognizer",
    "embed_faces",
    "embed_photo",
    "embed_track",
    "identified",
    "join",
    "most_like",
    "open_recognizer",
]
