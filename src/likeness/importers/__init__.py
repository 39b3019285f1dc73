"""Foreign formats made ours; what comes in is converted once and never trusted."""
