"""What can go wrong between a program and a server, each with a sentence; where the server gave one, it is that one."""

from __future__ import annotations

from ..model.errors import NotFoundError, NotReadyError, TapewatchError, UsageError


class ClientError(TapewatchError):
    """Base of all that a client raises; `status` is the HTTP status, None where there was no answer."""

    status: int | None

    def __init__(self, sentence: str, status: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status


class UnreachableError(ClientError):
    """Nobody answers at the address, or the answer broke off."""


class ForeignServerError(ClientError):
    """Somebody answers, but not like a tapewatch server of this version."""


class AccessError(ClientError):
    """The server does not let us in: the access token is missing or wrong, or the address is not one it listens to."""


class RequestError(ClientError, UsageError):
    """A parameter is not allowed; the sentence says what is."""


class UnknownNameError(RequestError, NotFoundError):
    """There is no such exchange, symbol or address."""


class NotYetError(ClientError, NotReadyError):
    """The answer exists, but not now (a book is resynchronising, exports are under way); see `retry_after_s`."""

    def __init__(self, sentence: str, status: int | None, retry_after_s: float) -> None:
        super().__init__(sentence, status)
        self.retry_after_s = retry_after_s


class ServerFaultError(ClientError):
    """A defect of the server's; its log says more."""


DEFAULT_RETRY_S = 2.0


def error_of(status: int, sentence: str, retry_after: str = "") -> ClientError:
    """The error that an HTTP status means; `retry_after` is the header of that name."""
    match status:
        case 401 | 403 | 421:
            return AccessError(sentence, status)
        case 404:
            return UnknownNameError(sentence, status)
        case 429 | 503:
            seconds = float(retry_after) if retry_after.isdigit() else DEFAULT_RETRY_S
            return NotYetError(sentence, status, seconds)
        case _ if 400 <= status < 500:
            return RequestError(sentence, status)
        case _ if status >= 500:
            return ServerFaultError(sentence, status)
        case _:
            return ForeignServerError(sentence, status)
