"""Detectors: patterns of resting and traded liquidity, on event time, each with the evidence that raised it."""
