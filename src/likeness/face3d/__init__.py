"""The linear face model, its camera, rasterizer and light: mathematics without files."""
