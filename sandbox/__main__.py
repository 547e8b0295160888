"""`python -m sandbox` is the program `sandbox`."""

from sandbox.cli import main

if __name__ == "__main__":
    main()
