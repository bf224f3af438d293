"""The labelling page: a small web server on this machine only, behind a token."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Annotated

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.store.labels import Label, LabelConflictError, add_label
from sernf_isaac.data.store.reader import Commit, RunReader
from sernf_isaac.deploy.labelling.gate import Gate
from sernf_isaac.deploy.labelling.listing import Filter, Histories, Labelled, list_episodes
from sernf_isaac.deploy.labelling.view import agreement, label_json, view_episode

PAGE = Path(__file__).with_name("page")
STYLES = ("page.css",)
SCRIPTS = (
    "server.js",
    "drafts.js",
    "plot.js",
    "list.js",
    "episode.js",
    "saving.js",
    "drawing.js",
    "keys.js",
)
"""In the order in which they are read."""
FRAMES_KEPT = 4096
GREATEST_REWARD = 100.0
HEADERS = {
    "Referrer-Policy": "no-referrer",  # the page's address holds the token
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}

DrawFrame = Callable[[Episode, int], bytes]
"""A JPEG of one step of an episode."""


class NewLabel(BaseModel):
    """What the page sends."""

    model_config = ConfigDict(allow_inf_nan=False)

    annotator: Annotated[str, StringConstraints(strip_whitespace=True)] = Field(
        min_length=1, max_length=60
    )
    events: list[tuple[int, float, str]] | None = None
    """(step, value, source); null keeps the recorded rewards."""
    success: bool | None = None
    """null: unsure."""
    note: str = Field(default="", max_length=2000)
    seen: int = Field(default=0, ge=0)
    """Newest revision by this annotator that the page knows; 0: none."""


class Labelling:
    """One run as the page's server sees it; its methods may be called from several threads.

    Args:
        run: The run.
        draw: Makes pictures of episodes.

    Raises:
        ValueError: If there is no such run.
    """

    def __init__(self, run: Path, draw: DrawFrame | None) -> None:
        self.run, self.draw = run, draw
        self._reader, self._reading = RunReader(run), Lock()
        self._histories = Histories()
        self.episode = lru_cache(maxsize=8)(self._episode)
        self.frame = lru_cache(maxsize=FRAMES_KEPT)(self._frame)

    def commit(self, eid: str) -> Commit:
        """Of an episode, or an answer that there is none."""
        with self._reading:
            commits = self._reader.commits()
        for commit in commits:
            if commit.id == eid:
                return commit
        raise HTTPException(404, f"there is no episode {eid!r}")

    def rows(self, annotator: str) -> list[dict]:
        """Of all episodes."""
        with self._reading:
            return list_episodes(self._reader, annotator, self._histories)

    def view(self, eid: str, annotator: str) -> dict:
        """An episode, for one annotator."""
        return view_episode(self._reader, self.commit(eid), annotator)

    def add(self, eid: str, new: NewLabel) -> int:
        """Store what the page sent; returns its revision."""
        steps = self.commit(eid).steps
        for step, value, _ in new.events or []:
            if not 0 <= step < steps or abs(value) > GREATEST_REWARD:
                raise HTTPException(
                    422,
                    f"no reward of {value} at step {step}: steps are 0 to {steps - 1}, rewards "
                    f"{-GREATEST_REWARD:g} to {GREATEST_REWARD:g}",
                )
        events = None if new.events is None else tuple(sorted(new.events))
        label = Label(new.annotator, events, new.success, new.note)
        return add_label(self.run, eid, label, seen=new.seen)

    def _episode(self, eid: str) -> Episode:
        return self._reader.load(self.commit(eid), labelled=False)

    def _frame(self, eid: str, step: int) -> bytes:
        assert self.draw is not None, "asked before"
        return self.draw(self.episode(eid), step)


def make_app(run: Path, token: str, draw: DrawFrame | None = None) -> FastAPI:
    """The server for one run.

    Args:
        run: The run.
        token: Who does not know it sees nothing.
        draw: Makes pictures of episodes; without it the page shows curves only.

    Raises:
        ValueError: If there is no such run.
    """
    at = Labelling(run, draw)
    app = FastAPI(title="Label episodes", openapi_url=None)
    app.add_middleware(Gate, token=token)
    app.add_exception_handler(RequestValidationError, _name_faults)

    @app.get("/", response_class=HTMLResponse)
    def page() -> HTMLResponse:
        return HTMLResponse(assemble_page(), headers=HEADERS)

    @app.get("/api/episodes")
    def episodes(
        annotator: str = "",
        text: str = "",
        outcome: str = "",
        labelled: Labelled = Labelled.ALL,
    ) -> JSONResponse:
        wanted = Filter(text, outcome, labelled)
        rows = at.rows(annotator.strip())
        found = {
            "episodes": [row for row in rows if wanted.passes(row)],
            "total": len(rows),
            "outcomes": sorted({row["outcome"] for row in rows}),
            "run": str(run),
            "has_frames": draw is not None,
        }
        return JSONResponse(found)  # as it is: looking at every value takes longer than all else

    @app.get("/api/episodes/{eid}")
    def one(eid: str, annotator: str = "") -> JSONResponse:
        with _said():
            return JSONResponse(at.view(eid, annotator.strip()))

    @app.get("/api/episodes/{eid}/frames/{step}.jpg")
    async def frame(eid: str, step: int) -> Response:  # async: one thread owns the graphics context
        if draw is None:
            raise HTTPException(404, "this server draws no frames")
        headers = {"Cache-Control": "private, max-age=86400"}
        with _said():
            if not 0 <= step < len(at.episode(eid)):
                raise HTTPException(404, f"episode {eid!r} has no step {step}")
            return Response(at.frame(eid, step), media_type="image/jpeg", headers=headers)

    @app.post("/api/episodes/{eid}/labels")
    def label(eid: str, new: NewLabel) -> dict:
        with _said():
            return {"revision": at.add(eid, new)}

    @app.get("/api/agreement")
    def agree(first: str, second: str) -> dict:
        try:
            found = agreement(run, first, second)
        except ValueError as error:
            raise HTTPException(404, str(error)) from error
        return asdict(found) | {"f1": found.f1}

    return app


def assemble_page() -> str:
    """The page with its styles and scripts in it: one request, behind the token like all others."""
    page = (PAGE / "page.html").read_text()
    parts = {
        "<!-- styles -->": ("style", STYLES),
        "<!-- scripts -->": ("script", SCRIPTS),
    }
    for place, (tag, names) in parts.items():
        content = "\n".join((PAGE / name).read_text() for name in names)
        page = page.replace(place, f"<{tag}>\n{content}\n</{tag}>")
    return page


def listen(port: int) -> socket.socket:
    """A socket on this machine to which browsers can connect from now on.

    Args:
        port: 0 for any that is free.

    Raises:
        ValueError: If the port is taken or not allowed.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # not to wait for old connections
    try:
        bound.bind(("127.0.0.1", port))
        bound.listen()
    except (OSError, OverflowError) as error:
        bound.close()
        raise ValueError(
            f"--port {port} cannot be used ({error}); another label.py? name a free one, or 0"
        ) from error
    return bound


def serve(app: FastAPI, bound: socket.socket) -> None:
    """Answer browsers until Ctrl-C.

    Args:
        app: From `make_app`.
        bound: From `listen`.
    """
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[bound])


async def _name_faults(_: Request, error: Exception) -> JSONResponse:
    """What is wrong with which part of a request; not what was sent, which may be no JSON."""
    assert isinstance(error, RequestValidationError), "registered for these"
    faults = (f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors())
    return JSONResponse({"detail": "; ".join(faults)}, 422)


@contextmanager
def _said() -> Iterator[None]:
    """Whatever is wrong with an episode or its labels becomes an answer that says so."""
    try:
        yield
    except LabelConflictError as error:
        theirs = label_json(error.label)
        detail = {"message": str(error), "revision": error.revision, "label": theirs}
        raise HTTPException(409, detail) from error
    except ValueError as error:
        raise HTTPException(422, str(error)) from error
    except OSError as error:
        raise HTTPException(500, str(error)) from error
