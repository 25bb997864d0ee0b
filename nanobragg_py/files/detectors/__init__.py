"""Files that state where the panels of a detector are, one module a format: DIALS .expt, CrystFEL .geom, NXmx."""
