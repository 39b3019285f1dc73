"""`python -m likeness.cli` is the same as `likeness`."""

from likeness.cli import main

if __name__ == "__main__":
    main()
