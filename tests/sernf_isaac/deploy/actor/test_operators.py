"""The keyboard: what it does to the terminal is undone."""

import os
import subprocess
import sys
import termios

import pytest

PROGRAM = """
import sys
from sernf_isaac.deploy.actor.operators import Keyboard

def ignore():
    pass

Keyboard(ignore, ignore)
print("listening", flush=True)
sys.exit({how})
"""


@pytest.mark.parametrize("how", ["0", "'error: the camera gives no more frames'"])
def test_the_terminal_shows_again_what_is_typed_when_the_program_ends(how):
    ours, theirs = os.openpty()
    before = termios.tcgetattr(theirs)
    assert before[3] & termios.ECHO
    program = [sys.executable, "-c", PROGRAM.format(how=how)]
    done = subprocess.run(program, stdin=theirs, capture_output=True, text=True, timeout=60)
    assert "listening" in done.stdout
    assert termios.tcgetattr(theirs)[3] == before[3]
    os.close(ours)
    os.close(theirs)
