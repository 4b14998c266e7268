"""Into the store and out of it: archive files, OHLC and our own exports; CSV, JSON, Excel, Parquet."""
