"""Temporal's own UI as a person uses it: find a run, read its board, send it a signal."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from playwright.async_api import FrameLocator, Locator, Page, ViewportSize, async_playwright, expect

from runbook import names

CHROMIUM = Path("/usr/bin/chromium")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_SIZE = ViewportSize(width=1180, height=880)
_PATIENCE = 60_000


class TemporalUi:
    """One tab. Elements are waited for, never the network: the UI keeps connections open."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self._address = address

    async def find_waiting(self, project: str) -> None:
        """Open the run that waits for a person, from the list as its search attribute filters it."""
        query = f'{names.SEARCH_NEEDS_PERSON}=true AND {names.SEARCH_PROJECT}="{project}"'
        await self.page.goto(f"{self._address}/namespaces/default/workflows?query={quote(query)}")
        await expect(self.waiting(project)).to_have_count(1)

    def waiting(self, project: str) -> Locator:
        return self.page.get_by_role("link", name=names.lane(project), exact=True)

    async def open_board(self, project: str) -> FrameLocator:
        """The board, under User Metadata, as the UI renders it."""
        await self.waiting(project).click()
        await self.page.get_by_role("tab", name="User Metadata").click()
        return await self.board()

    async def board(self) -> FrameLocator:
        board = self.page.frame_locator("iframe[src*='%23%20']").last
        await expect(board.locator("h1")).to_be_visible()
        return board

    async def look_again(self) -> FrameLocator:
        """The board as it is now: it is asked for when the page is loaded."""
        await self.page.reload()
        return await self.board()

    async def open_signal(self) -> Locator:
        """More Actions, Send a Signal: the dialog."""
        await self.page.get_by_role("button", name="More Actions").filter(visible=True).click()
        await self.page.get_by_role("menuitem", name="Send a Signal").click()
        dialog = self.page.get_by_role("dialog").filter(has_text="Send a Signal")
        await expect(dialog).to_be_visible()
        return dialog

    async def choose(self, dialog: Locator, signal: str) -> str:
        """Pick the signal from the list; the description that stands beside it."""
        await dialog.get_by_test_id("signal-select-button").click()
        option = dialog.get_by_role("option").filter(has=self.page.get_by_text(signal, exact=True))
        description = await option.inner_text()
        await option.click()
        return description.removeprefix(signal).strip()

    async def paste(self, dialog: Locator, text: str) -> None:
        box = dialog.locator(".cm-content")
        await box.click()
        await self.page.keyboard.insert_text(text)
        # Left alone, the box sets the JSON in lines, and moves what is below it from under the mouse.
        await box.blur()
        await expect(box.locator(".cm-line")).not_to_have_count(1)

    async def submit(self, dialog: Locator) -> None:
        await dialog.get_by_role("button", name="Submit").click()
        await expect(dialog).to_be_hidden()

    async def send(self, signal: str, text: str) -> None:
        dialog = await self.open_signal()
        await self.choose(dialog, signal)
        await self.paste(dialog, text)
        await self.submit(dialog)

    async def completed(self) -> None:
        """The page says so by itself; where a busy server sent it away, it is loaded again, as it asks nothing more then."""
        said = self.page.get_by_text(re.compile("^completed$", re.IGNORECASE)).first
        sent_away = self.page.get_by_text("Too Many Requests")
        await expect(said.or_(sent_away).first).to_be_visible()
        if await sent_away.is_visible():
            await self.page.reload()
        await expect(said).to_be_visible()


@asynccontextmanager
async def temporal_ui(address: str) -> AsyncGenerator[TemporalUi]:
    """A headless Chromium of its own, with the UI at this address."""
    expect.set_options(timeout=_PATIENCE)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        page = await browser.new_page(viewport=_SIZE)
        page.set_default_timeout(_PATIENCE)
        yield TemporalUi(page, address)
        await browser.close()
