"""Deep Video Portraits: a person drawn anew from keyframes or by the paper's network."""
