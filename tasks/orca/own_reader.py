"""Holds the YAML file of an own hand against the bodies of its model."""

from difflib import get_close_matches
from pathlib import Path

import mujoco
import numpy as np

from tasks.orca import own_model
from tasks.orca.description import Fingertip, Hand, Quaternion
from tasks.orca.own_entries import Entries


class Reader:
    """Holds the entries against the bodies and joints of the file."""

    def __init__(self, entries: Entries, model: mujoco.MjModel, file: Path, prefix: str) -> None:
        self.entries, self.model, self.file, self.prefix = entries, model, file, prefix
        self.bodies: list[str] = []
        """Names of the hand's bodies, once they are known."""

    def body_in_file(self, name: str, place: str) -> str:
        """A body's name in the file.

        Raises:
            ValueError: If there is no such body; names those there are.
        """
        there = [self.model.body(i).name for i in range(1, self.model.nbody)]
        for spelt in (name, self.prefix + name):
            if spelt in there:
                return spelt
        raise self.unknown("body", name, place, there)

    def body(self, name: str, place: str) -> str:
        """A body of the hand, by its name here.

        Raises:
            ValueError: If the hand has no such body.
        """
        plain = own_model.plain_name(name, self.prefix)
        if plain not in self.bodies:
            raise self.unknown("body", name, place, self.bodies)
        return plain

    def listed_bodies(self, entry: str) -> tuple[str, ...]:
        """The bodies that an entry lists."""
        return tuple(self.body(name, entry) for name in self.entries.texts(entry))

    def below(self, palm: str) -> tuple[str, ...]:
        """Bodies that carry the palm."""
        raw = {own_model.plain_name(self.model.body(i).name, self.prefix): i for i in self.ids}
        found, body = [], self.model.body_parentid[raw[palm]]
        while body in raw.values():
            found.append(own_model.plain_name(self.model.body(body).name, self.prefix))
            body = self.model.body_parentid[body]
        return tuple(found)

    @property
    def ids(self) -> list[int]:
        root = self.body_in_file(self.entries.text("root_body"), "root_body")
        return own_model.bodies_of(self.model, root)

    def fingertips(self) -> tuple[Fingertip, ...]:
        """The fingertips, in the order of the YAML file.

        Raises:
            ValueError: If there are less than two, or one has no such body or an impossible size.
        """
        tips = []
        for name, tip in self.entries.groups("fingertips"):
            tip = tip.checked(("centre_m", "radius_m"), ())
            radius = tip.number("radius_m")
            if not 0.0 < radius < 0.05:
                raise ValueError(f"{tip.place('radius_m')} is {radius} m, expected 0 to 0.05")
            body = self.body(name, f"fingertips: {name}")
            tips.append(Fingertip(body, tip.vector("centre_m"), radius))
        if len(tips) < 2:
            raise ValueError(
                f"{self.entries.where}: fingertips: a grasp needs two or more, the thumb first"
            )
        return tuple(tips)

    def palm_down(self, root: str, palm: str) -> tuple[Quaternion, np.ndarray]:
        """The root's rotation (wxyz) with the palm down, and the palm's place (3,) then.

        Raises:
            ValueError: If the two directions are parallel or nothing.
        """
        entry = self.entries.group("palm")
        data = mujoco.MjData(self.model)
        mujoco.mj_kinematics(self.model, data)
        ids = {own_model.plain_name(self.model.body(i).name, self.prefix): i for i in self.ids}
        there = data.xmat[ids[palm]].reshape(3, 3)
        back = data.xmat[self.model.body(root).id].reshape(3, 3).T
        normal, fingers = (
            back @ there @ np.array(entry.vector(name)) for name in ("normal", "fingers")
        )
        size = np.linalg.norm(np.cross(fingers, normal))
        if size < 0.1 * np.linalg.norm(fingers) * np.linalg.norm(normal) or size == 0.0:
            raise ValueError(
                f"{entry.where}: normal and fingers must be two directions at right angles in the "
                "palm body's frame"
            )
        up = -normal / np.linalg.norm(normal)
        forwards = fingers - up * (fingers @ up)
        forwards /= np.linalg.norm(forwards)
        turn = np.stack([np.cross(forwards, up), forwards, up])
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, turn.ravel())
        away = data.xpos[ids[palm]] - data.xpos[self.model.body(root).id]
        w, x, y, z = np.round(quat, 9).tolist()
        return (w, x, y, z), turn @ back @ away

    def refuse_doubled(self, names: list[str]) -> None:
        """Raise if two bodies have one name here."""
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"{self.file}: bodies are called alike without prefix and punctuation: "
                f"{', '.join(doubled)}; rename one"
            )

    def refuse_untouchable(self, model: mujoco.MjModel, hand: Hand) -> None:
        """Raise if a fingertip has no shape that touches."""
        for tip in hand.fingertips:
            body = model.body(tip.body)
            if not body.geomnum[0]:
                raise ValueError(
                    f"{self.entries.where}: fingertips: {tip.body} has no collision shape in "
                    f"{self.file.name}; name the body that has it, or give it one there"
                )

    def unknown(self, kind: str, name: str, place: str, there: list[str]) -> ValueError:
        near = get_close_matches(name, there, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        return ValueError(
            f"{self.entries.where}: {place}: {self.file.name} has no {kind} {name!r} in the hand; "
            f"{hint}there are {', '.join(there)}"
        )
