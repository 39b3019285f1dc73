"""Putting it back: layers onto frames."""

from likeness.composite.blend import composite, soft_rectangle

__all__ = ["composite", "soft_rectangle"]
