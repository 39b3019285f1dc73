"""Face swaps: one person's identity on another's performance."""
