"""The research desk: where bars come from, and what can be asked of them, in a process of its own."""
