"""The mathematics: proofs that are checked, what they derive, and the registry of measures that follows from it."""
