"""Claims about speed and memory, each measured against a named peer or a physical limit in one run: `make bench`."""
