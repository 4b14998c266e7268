"""Something that is away for a while, said once when it begins and once when it ends, however often it is tried."""

from __future__ import annotations

import logging
import time


class Outage:
    """Logs `event` at the first failure, and at the next success `<event>_no_more` with how long and how many tries."""

    def __init__(self, log: logging.Logger, event: str, venue: str) -> None:
        self.failures = 0
        """In a row; 0 while all is well."""
        self._log = log
        self._event = event
        self._venue = venue
        self._since_s = 0.0

    def failed(self, error: Exception) -> None:
        if not self.failures:
            self._since_s = time.monotonic()
            self._log.warning("%s venue=%s reason=%r", self._event, self._venue, str(error))
        self.failures += 1

    def worked(self) -> None:
        if self.failures:
            lasted_s = time.monotonic() - self._since_s
            told = self._event, self._venue, lasted_s, self.failures
            self._log.warning("%s_no_more venue=%s after_s=%.0f failures=%d", *told)
        self.failures = 0
