"""A cluster as the place of work: shards of layers shared out to workers, and steps of runs done there."""
