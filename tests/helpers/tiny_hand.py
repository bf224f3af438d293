"""A hand of three fingers and eight joints that nobody here describes, drawn palm up in degrees."""

from pathlib import Path

import yaml

MJCF = """
<mujoco>
  <compiler angle="degree"/>
  <default><joint damping="3" limited="true"/></default>
  <worldbody>
    <body name="box" pos="1 0 0"><freejoint/><geom size="0.01"/></body>
    <body name="follows" mocap="true"><geom size="0.01"/></body>
    <body name="x:mount" pos="0.3 0.2 0.1" euler="0 0 40">
      <geom type="box" size="0.02 0.02 0.02" pos="-0.1 0 0"/>
      <camera name="eye"/>
      <body name="x:palm">
        <joint name="x:wrist" axis="0 1 0" range="-20 20"/>
        <geom type="box" size="0.035 0.035 0.01" pos="0 0 -0.01"/>
        <geom type="box" size="0.03 0.03 0.004" contype="0" conaffinity="0" rgba="1 0 0 1"/>
        <body name="x:thumb_base" pos="-0.045 0 0">
          <joint name="x:thumb_abd" axis="0 0 1" range="-30 30"/>
          <joint name="x:thumb_flex" axis="0 1 0" range="-10 110"/>
          <geom type="capsule" fromto="-0.01 0 0 -0.05 0 0" size="0.009"/>
          <body name="x:thumb_tip" pos="-0.05 0 0">
            <joint name="x:thumb_curl" axis="0 1 0" range="-10 110"/>
            <geom type="capsule" fromto="0 0 0 -0.045 0 0" size="0.009"/>
          </body>
        </body>
        {fingers}
      </body>
    </body>
  </worldbody>
  <actuator><motor joint="x:wrist"/></actuator>
  <tendon><fixed name="t"><joint joint="x:wrist" coef="1"/></fixed></tendon>
  <equality><joint joint1="x:index_curl" joint2="x:index_flex"/></equality>
  <sensor><jointpos joint="x:wrist"/></sensor>
</mujoco>
"""
FINGER = """
        <body name="x:{name}_base" pos="0.045 {side} 0">
          <joint name="x:{name}_flex" axis="0 -1 0" range="-10 110" ref="{ref}"/>
          <geom type="capsule" fromto="0.01 0 0 0.05 0 0" size="0.009"/>
          <body name="x:{name}_tip" pos="0.05 0 0">
            <joint name="x:{name}_curl" axis="0 -1 0" range="-10 110"/>
            <geom type="capsule" fromto="0 0 0 0.03 0 0" size="0.009"/>
            <body name="x:{name}_nail" pos="0.03 0 0">
              <geom type="capsule" fromto="0 0 0 0.015 0 0" size="0.009"/>
            </body>
          </body>
        </body>
"""
FLEX, CURL = 1.25, 0.6
JOINTS = ("wrist", "thumb_abd", "thumb_flex", "thumb_curl")
JOINTS += ("index_flex", "index_curl", "middle_flex", "middle_curl")


def facts() -> dict:
    """What the YAML file says."""
    return {
        "name": "tiny",
        "model": "tiny.xml",
        "prefix": "x:",
        "root_body": "mount",
        "palm": {"body": "palm", "normal": [0, 0, 1], "fingers": [1, 0, 0]},
        "grasp_point_m": [0.0, 0.0, -0.07],
        "fingertips": {
            "thumb_tip": {"centre_m": [-0.045, 0, 0], "radius_m": 0.009},
            "index_nail": {"centre_m": [0.015, 0, 0], "radius_m": 0.009},
            "middle_nail": {"centre_m": [0.015, 0, 0], "radius_m": 0.009},
        },
        "servo": {"stiffness": 4.0, "damping": 0.2},
        "joints": {
            "middle_flex": FLEX,  # in another order than the file's
            "middle_curl": CURL,
            "wrist": {"search_from": 0.0, "wrist": True, "stiffness": 20.0},
            "thumb_abd": 0.0,
            "thumb_flex": FLEX,
            "thumb_curl": {"search_from": CURL, "limits_deg": [0, 100], "sign": -1},
            "index_flex": FLEX,
            "index_curl": CURL,
        },
    }


def write_tiny_hand(folder: Path, **changes: object) -> Path:
    """Write model and YAML; `changes` replace top-level entries, None removes one."""
    fingers = FINGER.format(name="index", side=0.015, ref=10)
    fingers += FINGER.format(name="middle", side=-0.015, ref=0)
    (folder / "tiny.xml").write_text(MJCF.format(fingers=fingers))
    content = {k: v for k, v in (facts() | changes).items() if v is not None}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return folder / "tiny.yaml"
