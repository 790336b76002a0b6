"""Makes batches of encoded samples: planning, collation, and the isolation of samples and branches."""
