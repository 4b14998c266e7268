"""State that is shown: topics with a snapshot and sequenced deltas, conflated for clients that cannot keep up."""
