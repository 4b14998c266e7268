"""Statistics of bars that refuse to mislead: each figure says what it was computed from, or why it cannot be."""
