"""The keyboard: what it does to the terminal is undone, and it does not die without a word."""

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


LISTENS = """
import sys, time
from sernf_isaac.deploy.actor.operators import Keyboard

def stop():
    print("stopped", flush=True)

def clear():
    raise OSError("no such hand")

keyboard = Keyboard(stop, clear)
print("listening", flush=True)
until = time.monotonic() + 20.0
while time.monotonic() < until:
    try:
        keyboard.quits()
    except RuntimeError as error:
        sys.exit(f"{error}")
    time.sleep(0.01)
"""


@pytest.fixture
def listener():
    """A keyboard in a process, and the other end of its terminal."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENS],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    assert process.stdout is not None
    while "listening" not in process.stdout.readline():
        assert process.poll() is None
    yield process, ours
    process.kill()
    process.wait()


def test_a_terminal_that_is_closed_is_noticed(listener):
    process, ours = listener
    os.close(ours)
    assert "the stop key does not work any more" in process.communicate(timeout=20)[1]
    assert process.returncode == 1


def test_a_key_whose_handler_fails_is_noticed(listener):
    process, ours = listener
    os.write(ours, b"c")
    assert "OSError: no such hand" in process.communicate(timeout=20)[1]
    os.close(ours)


def test_a_strange_key_does_not_end_the_listening(listener):
    process, ours = listener
    os.write(ours, b"\xff\xfe ")
    assert process.stdout.readline() == "stopped\n" and process.poll() is None
    os.close(ours)
