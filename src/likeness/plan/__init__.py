"""What an output shows, decided before a pixel is drawn."""
