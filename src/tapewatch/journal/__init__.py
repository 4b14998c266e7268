"""What was received, as it was received: checksummed records in append-only files. docs/storage.md is the format."""

from .format import Content, Header, NewerFormatError, Record, StreamClass
from .guard import Limits
from .journal import Journal, JournalStatus, Mark
from .lock import DataLock
from .reader import Damage, JournalFile, Reason, files, header, missing, read
from .recovery import Recovery, recover
from .writer import Rotation

__all__ = [
    "Content",
    "Damage",
    "DataLock",
    "Header",
    "Journal",
    "JournalFile",
    "JournalStatus",
    "Limits",
    "Mark",
    "NewerFormatError",
    "Reason",
    "Record",
    "Recovery",
    "Rotation",
    "StreamClass",
    "files",
    "header",
    "missing",
    "read",
    "recover",
]
