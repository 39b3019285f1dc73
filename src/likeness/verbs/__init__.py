"""The verbs of the command line as functions: read, permit, plan, open, render."""
