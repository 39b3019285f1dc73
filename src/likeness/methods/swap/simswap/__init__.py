"""Training of SimSwap: one network that swaps any two people."""
