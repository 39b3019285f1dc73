"""Video portraits: transfer, edit and verify the performance of a real person's face."""
