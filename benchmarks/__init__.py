"""Claims about speed and memory, each against a named peer or a physical limit in the same run: `make bench`."""
