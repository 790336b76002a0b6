"""The data room: samples, shards with their offset index, layers, views, mixtures."""
