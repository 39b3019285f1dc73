"""Training of further published networks for any two people, on what SimSwap's training shares."""
