"""Experiment: what is wanted (beam, detector, crystal, sampling, structure factors) and what follows from it."""
