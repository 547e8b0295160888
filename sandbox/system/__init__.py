"""The program's surroundings: files, outputs, terminals, devices and signals."""
