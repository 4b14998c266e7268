"""/api/layouts and /api/settings: what one screen keeps, another one has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from market_world import Served, World, serve
from tapewatch.config import Config, StoreConfig

FOUR, TWO = {"schema_version": 1, "dock": {"grid": "four"}}, {"schema_version": 1, "dock": {"grid": "zwei ✓"}}


def world(path: Path, **store: Any) -> World:
    return World(path, config=Config(store=StoreConfig(path=str(path / "data"), **store)))


async def asked(served: Served, method: str, name: str, layout: object = None) -> tuple[int, Any]:
    url = f"{served.url}/api/layouts"
    async with served.http.request(method, url, params={"name": name}, json=layout) as told:
        return told.status, await told.json(content_type=None)


async def test_a_layout_kept_by_one_screen_is_had_by_another(tmp_path: Path) -> None:
    nothing = {"kept": True, "layouts": []}
    async with serve(world(tmp_path)) as served:
        assert await served.get("/api/layouts") == (200, nothing)
        assert not (tmp_path / "data").exists()  # a look makes no store
        assert (await asked(served, "PUT", "night desk", FOUR))[0] == 200
        assert (await asked(served, "PUT", "day / ü", FOUR))[0] == 200
        assert (await asked(served, "PUT", "day / ü", TWO))[0] == 200
    async with serve(world(tmp_path)) as served:
        kept = [{"name": "day / ü", "layout": TWO}, {"name": "night desk", "layout": FOUR}]
        assert await served.get("/api/layouts") == (200, {"kept": True, "layouts": kept})
        assert await asked(served, "DELETE", "day / ü") == (200, {"kept": True, "layouts": kept[1:]})
        status, problem = await asked(served, "DELETE", "day / ü")
        assert (status, problem["detail"]) == (404, "no layout is called 'day / ü'")


async def test_what_is_no_layout_or_one_too_many_is_refused(tmp_path: Path) -> None:
    async with serve(world(tmp_path)) as served:
        assert (await asked(served, "PUT", "", FOUR))[0] == 422
        assert (await asked(served, "PUT", "x" * 41, FOUR))[0] == 422
        assert (await asked(served, "PUT", "a", [1]))[0] == 422
        assert (await asked(served, "PUT", "a", {"schema_version": 1}))[0] == 422
        assert (await asked(served, "PUT", "a", FOUR | {"dock": {"grid": "x" * 70_000}}))[0] == 413
        for k in range(100):
            assert (await asked(served, "PUT", f"layout {k}", FOUR))[0] == 200
        status, problem = await asked(served, "PUT", "one more", FOUR)
        assert (status, problem["detail"]) == (422, "100 layouts are kept already; remove one first")
        assert (await asked(served, "PUT", "layout 7", TWO))[0] == 200


async def test_without_a_store_every_browser_keeps_its_own(tmp_path: Path) -> None:
    async with serve(world(tmp_path, enabled=False)) as served:
        assert await served.get("/api/layouts") == (200, {"kept": False, "layouts": []})
        status, problem = await asked(served, "PUT", "a", FOUR)
        assert status == 422
        assert "nothing is stored here" in problem["detail"]
    assert not (tmp_path / "data").exists()


async def put(served: Served, sections: object) -> tuple[int, Any]:
    async with served.http.put(f"{served.url}/api/settings", json=sections) as told:
        return told.status, await told.json(content_type=None)


async def test_settings_are_kept_section_by_section(tmp_path: Path) -> None:
    async with serve(world(tmp_path)) as served:
        assert await served.get("/api/settings") == (200, {"kept": True, "settings": {}})
        assert not (tmp_path / "data").exists()  # a look makes no store
        assert (await put(served, {"theme": "light", "depth": {"range": 10}}))[0] == 200
        assert (await put(served, {"depth": {"range": 50}}))[0] == 200
    kept = {"kept": True, "settings": {"theme": "light", "depth": {"range": 50}}}
    async with serve(world(tmp_path)) as served:
        assert await served.get("/api/settings") == (200, kept)
        for wrong in ([1], {}, {"": 1}, {"x" * 41: 1}, {f"section {k}": k for k in range(99)}):
            assert (await put(served, wrong))[0] == 422
        assert (await put(served, {"big": "x" * 70_000}))[0] == 413
        assert await served.get("/api/settings") == (200, kept)


async def test_without_a_store_no_settings_are_kept(tmp_path: Path) -> None:
    async with serve(world(tmp_path, enabled=False)) as served:
        assert await served.get("/api/settings") == (200, {"kept": False, "settings": {}})
        assert (await put(served, {"theme": "light"}))[0] == 422
    assert not (tmp_path / "data").exists()
