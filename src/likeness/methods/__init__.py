"""Methods: what conditions, what synthesizes, and how it is learned, in one table."""
