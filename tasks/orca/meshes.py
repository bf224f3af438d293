"""Official meshes of a hand that is built from figures, where a user has them."""

from dataclasses import replace
from pathlib import Path

import mujoco

from tasks.orca.description import Body, Hand

MILLIMETRES = 1e-3


def with_meshes(hand: Hand, description: Path) -> Hand:
    """The hand with the meshes of a folder that holds orcahand_description.

    Raises:
        FileNotFoundError: If one of them is not below the folder; names the first.
    """
    wanted = [f"{mesh}.stl" for body in hand.bodies for mesh in body.meshes]
    places = sorted(path.parent for path in description.rglob(f"{hand.side}/{wanted[0]}"))
    for place in places:
        if all((place / name).is_file() for name in wanted):
            return replace(hand, mesh_folder=place)
    lacking = [name for name in wanted if not places or not (places[0] / name).is_file()]
    name = f"{hand.side}/{lacking[0]}"
    raise FileNotFoundError(f"{description} has no {name}; its meshes are those of {hand.source}")


def mesh_files(hand: Hand) -> list[Path]:
    """The files of all meshes of a hand that has them."""
    if hand.mesh_folder is None:
        return []
    return [hand.mesh_folder / f"{mesh}.stl" for body in hand.bodies for mesh in body.meshes]


def add_meshes(spec: mujoco.MjSpec, body: Body, hand: Hand) -> list[str]:
    """Names in the model of a body's meshes, which are added where they are not there yet."""
    assert hand.mesh_folder is not None, "asked for before"
    for name in body.meshes:
        if spec.mesh(name) is None:
            mesh = spec.add_mesh(name=name, file=str(hand.mesh_folder / f"{name}.stl"))
            mesh.scale = [hand.mesh_mirror * MILLIMETRES, MILLIMETRES, MILLIMETRES]
            mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL  # unused, but must not fail
    return list(body.meshes)
