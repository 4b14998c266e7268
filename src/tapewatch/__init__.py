"""tapewatch: order flow of crypto derivatives markets, live and exact."""

__version__ = "0.1.0"
