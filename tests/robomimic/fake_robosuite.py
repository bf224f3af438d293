"""Where the fake server is; importing the server itself would bring its neighbours' names along."""

from pathlib import Path

FAKE_SERVER = Path(__file__).parent / "fake_server.py"
