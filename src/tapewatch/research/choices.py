"""What a statistic can be asked to be. Apart from the statistics, so that to name one loads no library."""

from __future__ import annotations

from typing import Literal

Method = Literal["ols", "huber", "tls"]
"""Of fitting a hedge ratio: least squares, robust, orthogonal."""
METHODS: tuple[Method, ...] = ("ols", "huber", "tls")
Center = Literal["mean", "median"]
"""What a z-score is measured from."""
