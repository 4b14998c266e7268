"""What traded: candles with tick-level footprints, imbalance windows, big flow, liquidations, best-quote OFI."""
