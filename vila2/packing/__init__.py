"""From encoded samples to batches: collation and the isolation of branches."""
