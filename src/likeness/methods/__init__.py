"""Recipes: which conditioner, which synthesizer, which blend, and how to train them."""

from likeness.methods.protocol import METHODS, Method

__all__ = ["METHODS", "Method"]
