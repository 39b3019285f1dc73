"""Networks that say what is in a picture, and the layers that networks share."""
