"""The joint table of an own hand: rows of its YAML file held against the hinges of its model."""

from math import degrees, radians

import mujoco

from tasks.orca import own_model
from tasks.orca.joints import Joint
from tasks.orca.own_entries import Entries
from tasks.orca.own_reader import Reader

OF_A_ROW = ("search_from", "typical", "rest", "limits_rad", "limits_deg", "stiffness", "damping")
OF_A_ROW += ("effort_limit", "wrist", "opens", "sign", "driver_name")
GAINS = {"stiffness": 2.0, "damping": 0.1, "effort_limit": 1.0}
"""Of a servo about which neither row nor `servo` say anything."""
OPENS_RAD = 0.5
"""A joint that closes more than this opens a little before a grasp, unless its row says."""
ROUNDING_RAD = 2e-3


def joint_table(reader: Reader, bodies: list[int]) -> tuple[list[Joint], list[Entries]]:
    """The joint table and its rows in the file's order.

    Raises:
        ValueError: If a hinge of the file is neither listed nor welded, a listed joint is none
            of its hinges, or its limits are impossible.
    """
    rows = {own_model.plain_name(n, reader.prefix): row for n, row in reader.entries.joints()}
    welded = {own_model.plain_name(n, reader.prefix) for n in reader.entries.texts("welded")}
    there = {
        own_model.plain_name(reader.model.joint(j).name, reader.prefix): j
        for j in own_model.joints_of(reader.model, bodies)
    }
    for place, names in (("joints", rows), ("welded", welded)):
        for name in names:
            if name not in there:
                raise reader.unknown("joint", name, place, list(there))
    where = reader.entries.where
    if both := sorted(welded & set(rows)):
        raise ValueError(f"{where}: {', '.join(both)} are joints and welded; choose one")
    if left := [name for name in there if name not in rows and name not in welded]:
        raise ValueError(
            f"{where}: {reader.file.name} has hinges that are neither in `joints` nor in "
            f"`welded`: {', '.join(left)}"
        )
    order = [name for name in there if name in rows]
    table = [_joint(reader, name, there[name], rows[name]) for name in order]
    return table, [rows[name] for name in order]


def _joint(reader: Reader, name: str, number: int, row: Entries) -> Joint:
    row = row.checked(("search_from",), OF_A_ROW)
    kind = mujoco.mjtJoint(int(reader.model.jnt_type[number]))
    if kind != mujoco.mjtJoint.mjJNT_HINGE:
        said = kind.name.removeprefix("mjJNT_").lower()
        raise ValueError(f"{row.where} is a {said} joint; only hinges can be driven: weld it")
    low, high = limits = _limits(reader, number, row)
    for entry in ("search_from", "typical", "rest"):
        if (angle := row.angle(entry, 0.0)) and not low - 1e-9 <= angle <= high + 1e-9:
            raise ValueError(
                f"{row.place(entry)} is {angle} rad, outside of the limits {low} to {high}"
            )
    servo = reader.entries.group("servo").checked((), tuple(GAINS))
    gains = {key: row.number(key, servo.number(key, GAINS[key])) for key in GAINS}
    if bad := [f"{key} is {value}" for key, value in gains.items() if value <= 0.0]:
        raise ValueError(f"{row.where}: {', '.join(bad)}, expected more than 0")
    sign = int(row.number("sign", 1))
    if sign not in (-1, 1):
        raise ValueError(f"{row.place('sign')} is {sign}, expected 1 or -1")
    closes = abs(row.angle("search_from") - clipped(row.angle("rest", 0.0), limits))
    rom = sorted(degrees(sign * end) for end in limits)
    return Joint(
        name=name,
        driver_name=row.text("driver_name", reader.model.joint(number).name),
        rom_deg=(rom[0], rom[1]),
        sign=sign,
        opens=row.flag("opens", closes > OPENS_RAD),
        wrist=row.flag("wrist", False),
        stiffness=gains["stiffness"],
        damping=gains["damping"],
        effort_limit=gains["effort_limit"],
    )


def _limits(reader: Reader, number: int, row: Entries) -> tuple[float, float]:
    """Limits [rad], counted from where the file draws the joint.

    Raises:
        ValueError: If there are none, they are reversed, or the file's are tighter.
    """
    limited = bool(reader.model.jnt_limited[number])
    drawn = float(reader.model.qpos0[reader.model.jnt_qposadr[number]])
    files = (reader.model.jnt_range[number] - drawn).tolist()
    given = row.pair("limits_rad")
    if (in_degrees := row.pair("limits_deg")) is not None:
        given = radians(in_degrees[0]), radians(in_degrees[1])
    if given is None:
        if not limited:
            raise ValueError(
                f"{row.where}: {reader.file.name} gives this joint no range; add "
                "limits_rad: [lower, upper]"
            )
        return round(files[0], 6), round(files[1], 6)
    if given[0] >= given[1]:
        raise ValueError(
            f"{row.where}: limits {given[0]:.4g} to {given[1]:.4g} rad are reversed; the lower "
            "comes first"
        )
    if limited and (given[0] < files[0] - ROUNDING_RAD or given[1] > files[1] + ROUNDING_RAD):
        raise ValueError(
            f"{row.where}: limits {given[0]:.4g} to {given[1]:.4g} rad exceed the model's "
            f"{files[0]:.4g} to {files[1]:.4g}, counted from where it is drawn"
        )
    return given


def clipped(angle: float, limits: tuple[float, float]) -> float:
    """The angle, or the nearest that is within."""
    return min(max(angle, limits[0]), limits[1])
