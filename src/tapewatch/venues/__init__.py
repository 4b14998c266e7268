"""Venue products: one file each for facts and limits, one codec each from frame bytes to tape rows. No I/O."""
