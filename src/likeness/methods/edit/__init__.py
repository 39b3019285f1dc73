"""Semantic edits of a real clip: its person older, younger, smiling; the rest untouched."""
