"""What leaves for people: the outbox of alert messages and the sinks that carry them."""
