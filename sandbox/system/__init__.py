"""What surrounds the mathematics: files, outputs, terminals, devices and signals."""
