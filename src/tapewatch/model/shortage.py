"""There is too little of something yet: a refusal that says how far it is, so that whoever waits can see it come."""

from __future__ import annotations

from .errors import UsageError


class ShortageError(UsageError):
    """There is `have` of what it takes `need` of."""

    def __init__(self, sentence: str, have: int, need: int) -> None:
        super().__init__(sentence)
        self.have = have
        self.need = need
