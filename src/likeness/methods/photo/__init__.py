"""One photo, moved by a driver without training."""
