"""The liquidity lab: features and detections of the instruments that somebody studies, on every row of the tape."""
