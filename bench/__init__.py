"""Benchmarks: our path beside what others do with the same bytes. `make bench`, `make bench-peers`, README.md."""
