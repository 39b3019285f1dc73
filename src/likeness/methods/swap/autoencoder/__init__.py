"""One-to-one swaps: networks that are trained on two people, or more, and know no others."""
