"""Alert rules: what is watched, when it fires, what followed. No I/O: values in, episodes and notices out."""
