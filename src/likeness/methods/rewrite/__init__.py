"""Methods that change the target's own frames: Face2Face and Synthesizing Obama."""
