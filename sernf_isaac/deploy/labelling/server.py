"""The labelling page: a small web server on this machine only, behind a token."""

import secrets
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

from fastapi import Depends, FastAPI, Header, HTTPException, Query
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.store.labels import Label, add_label
from sernf_isaac.data.store.reader import Commit, RunReader
from sernf_isaac.deploy.labelling.view import agreement, list_episodes, view_episode

PAGE = Path(__file__).with_name("label.html")
FRAMES_KEPT = 4096

DrawFrame = Callable[[Episode, int], bytes]
"""A JPEG of one step of an episode."""


class NewLabel(BaseModel):
    """What the page sends."""

    model_config = ConfigDict(str_strip_whitespace=True)

    annotator: str = Field(min_length=1, max_length=60)
    events: list[tuple[int, float, str]] | None = None
    """(step, value, source); null keeps the recorded rewards."""
    success: bool | None = None
    """null: unsure."""
    note: str = Field(default="", max_length=2000)


def make_app(run: Path, token: str, draw: DrawFrame | None = None) -> FastAPI:
    """The server for one run.

    Args:
        run: The run.
        token: Who does not know it sees nothing.
        draw: Makes pictures of episodes; without it the page shows curves only.

    Raises:
        ValueError: If there is no such run.
    """
    reader = RunReader(run)

    def known(x_token: str = Header(""), token_: str = Query("", alias="token")) -> None:
        if not secrets.compare_digest((x_token or token_).encode(), token.encode()):
            raise HTTPException(401, "wrong or missing token; use the address label.py printed")

    app = FastAPI(title="Label episodes", dependencies=[Depends(known)], openapi_url=None)

    def commit_of(eid: str) -> Commit:
        for commit in reader.commits():
            if commit.id == eid:
                return commit
        raise HTTPException(404, f"there is no episode {eid!r}")

    @lru_cache(maxsize=8)
    def episode_of(eid: str) -> Episode:
        return reader.load(commit_of(eid), labelled=False)

    @lru_cache(maxsize=FRAMES_KEPT)
    def frame_of(eid: str, step: int) -> bytes:
        assert draw is not None, "asked before"
        return draw(episode_of(eid), step)

    @app.get("/", response_class=HTMLResponse)
    def page() -> str:
        return PAGE.read_text()

    @app.get("/api/episodes")
    def episodes() -> dict:
        return {"episodes": list_episodes(reader), "has_frames": draw is not None}

    @app.get("/api/episodes/{eid}")
    def one(eid: str, annotator: str = "") -> dict:
        try:
            return view_episode(reader, commit_of(eid), annotator.strip())
        except ValueError as error:
            raise HTTPException(422, str(error)) from error

    @app.get("/api/episodes/{eid}/frames/{step}.jpg")
    async def frame(eid: str, step: int) -> Response:  # async: one thread owns the graphics context
        if draw is None:
            raise HTTPException(404, "this server draws no frames")
        if not 0 <= step < len(episode_of(eid)):
            raise HTTPException(404, f"episode {eid!r} has no step {step}")
        headers = {"Cache-Control": "private, max-age=86400"}
        return Response(frame_of(eid, step), media_type="image/jpeg", headers=headers)

    @app.post("/api/episodes/{eid}/labels")
    def label(eid: str, new: NewLabel) -> dict:
        steps = commit_of(eid).steps
        for step, value, _ in new.events or []:
            if not 0 <= step < steps or not -100.0 <= value <= 100.0:
                raise HTTPException(422, f"no event of {value} at step {step} of {steps}")
        events = None if new.events is None else tuple(sorted(new.events))
        written = Label(new.annotator, events, new.success, new.note)
        return {"revision": add_label(run, eid, written)}

    @app.get("/api/agreement")
    def agree(first: str, second: str) -> dict:
        try:
            found = agreement(run, first, second)
        except ValueError as error:
            raise HTTPException(404, str(error)) from error
        return asdict(found) | {"f1": found.f1}

    return app
