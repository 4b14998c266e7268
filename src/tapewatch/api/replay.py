"""/api/replay: what is played back, and the buttons of the player."""

from __future__ import annotations

import math
from typing import Any, Protocol

from fastapi import APIRouter
from starlette.responses import Response

from ..model.errors import NotFoundError, UsageError
from ..replay.cursor import Step
from ..replay.player import Player, parse_speed
from . import schemas
from .market import UNKNOWN
from .numbers import answer

ANSWER_WITHIN_S = 1.0
"""A seek or step that takes longer is answered while it is under way."""


class ReplayControl(Protocol):
    """A player at work."""

    @property
    def player(self) -> Player: ...

    async def settled(self, within_s: float) -> None:
        """Wait until what was asked of the player is done, but no longer than this."""


def replay_status(player: Player) -> dict[str, Any]:
    """The player as the API and the status topic tell it."""
    at = player.position
    return {
        "state": at.state.value,
        "speed": "max" if math.isinf(at.speed) else at.speed,
        "ts": at.now_ms,
        "first_ts": at.first_ms,
        "last_ts": at.last_ms,
        "events": at.rows,
        "epoch": at.epoch,
        "progress": None if at.progress is None else round(at.progress, 3),
        "inputs": [name.rpartition("/")[2] for name in player.source.names],
    }


def replay_routes(control: ReplayControl | None) -> APIRouter:
    """The routes; without a player they say that there is none."""
    api = APIRouter(prefix="/api/replay", default_response_class=Response)
    told: dict[int | str, dict[str, Any]] = {**UNKNOWN, 200: {"model": schemas.Replay, "description": "The player."}}
    told[404] = told[404] | {"description": "Nothing is played back here."}

    def played() -> Player:
        if control is None:
            raise NotFoundError("this server shows live data; `tapewatch replay --serve` plays recordings back")
        return control.player

    @api.get("", responses=told)
    async def get_replay() -> Response:
        """Where the replay stands: state, speed, replayed time, range."""
        return answer(replay_status(played()))

    @api.post("", responses=told)
    async def post_replay(command: schemas.ReplayCommand) -> Response:
        """Play, pause, change speed, seek, step. The answer tells where that led.

        A seek or step that takes more than a second is answered with state `seeking` and goes on; `GET` tells how far
        it is. A step pauses. Going back plays again from the beginning, as fast as it goes; what is shown changes when
        it has arrived.
        """
        _obey(played(), command)
        if control is not None:
            await control.settled(ANSWER_WITHIN_S)
        return answer(replay_status(played()))

    @api.get("/hash", responses={**told, 200: {"model": schemas.ReplayHash, "description": "Hash and position."}})
    async def get_hash() -> Response:
        """SHA-256 of the state shown: equal for equal inputs and `events`, however the replay got there."""
        player = played()
        at = player.position
        return answer({"ts": at.now_ms, "events": at.rows, "state_hash": player.state_hash()})

    return api


def _obey(player: Player, command: schemas.ReplayCommand) -> None:
    match command:
        case schemas.ReplayCommand(action="play"):
            player.play()
        case schemas.ReplayCommand(action="pause"):
            player.pause()
        case schemas.ReplayCommand(action="speed", speed=float() | str() as speed):
            player.set_speed(parse_speed(f"{speed:g}" if isinstance(speed, float) else speed))
        case schemas.ReplayCommand(action="seek", ts=int() as to_ms):
            player.seek(to_ms)
        case schemas.ReplayCommand(action="seek", by_ms=int() as by_ms):
            player.move(by_ms)
        case schemas.ReplayCommand(action="step", step=str() as step, symbol=symbol):
            player.step(Step(step), symbol)
        case schemas.ReplayCommand(action=action):
            missing = {"speed": "speed", "seek": "ts or by_ms", "step": "step"}[action]
            raise UsageError(f"{action} needs {missing}; GET /docs says what it may be")
