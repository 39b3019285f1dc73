"""Training of the compact network: any person's face on any other's, from exact answers."""
