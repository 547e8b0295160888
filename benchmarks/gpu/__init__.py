"""All that only a GPU can tell, in one command of nine minutes: `make gpu`, or `python -m benchmarks.gpu --out DIR`.

Each part is a process of its own, bounded in time, so that one that fails or hangs leaves the others standing. Every
claim is a ratio to a limit that was measured on the same card in the same process (`floor`) or to a named peer. With
`--device cpu` the same program runs on small sizes, so that it cannot break on the day there is a card.
"""
