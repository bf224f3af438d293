"""The held object as the eyes know it: where its printed marks are, and what it looks like."""

import mujoco

from perception.marked import MarkedObject
from perception.marked_mesh import MarkedMesh, marked_mesh
from tasks.cube_spin.held_object import HeldObject
from tasks.cube_spin.pictures.scene import picture_model
from tasks.orca.description import Hand


def marks_of(held: HeldObject) -> MarkedObject:
    """Where an object's printed marks are."""
    height_m = held.upright_m if held.shape == "cylinder" else 0.0
    return MarkedObject(held.shape, held.size_m, height_m)


def mesh_of(held: HeldObject) -> MarkedMesh | None:
    """What scenes draw; None for a cube, whose mesh is a file."""
    return None if held.shape == "cube" else marked_mesh(marks_of(held))


def marked_model(hand: Hand, held: HeldObject) -> mujoco.MjModel:
    """The scene for pictures of a hand and an object with its marks."""
    return picture_model(hand, held, mesh_of(held))
