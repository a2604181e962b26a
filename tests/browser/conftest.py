"""The house with Temporal's UI in a browser; what the docs show of it is taken here."""

import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Protocol

import pytest
from playwright.async_api import FloatRect, Locator, Page, ViewportSize

from tests.browser.temporal_ui import CHROMIUM, TemporalUi, temporal_ui
from tests.e2e.conftest import Play, house, play

__all__ = ["house", "play"]

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
_WANTED = "RUNBOOK_PICTURES"


class Camera(Protocol):
    async def __call__(self, name: str, what: Page | Locator, *, height: int | None = None) -> None:
        """Keep what is on show as docs/pictures/<name>.png where that was asked for; of a page, its upper part."""


@pytest.fixture
async def ui(play: Play) -> AsyncGenerator[TemporalUi]:
    if not os.access(CHROMIUM, os.X_OK):
        pytest.skip(f"there is no {CHROMIUM}: apt-get install chromium")
    async with temporal_ui(play.house.ui) as ui:
        yield ui


@pytest.fixture
def picture() -> Camera:
    async def take(name: str, what: Page | Locator, *, height: int | None = None) -> None:
        if not os.environ.get(_WANTED):
            return
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{name}.png"
        if isinstance(what, Locator):
            await what.screenshot(path=path)
            return
        size = what.viewport_size or ViewportSize(width=0, height=0)
        clip = FloatRect(x=0, y=0, width=size["width"], height=height or size["height"])
        await what.screenshot(path=path, clip=clip)

    return take
