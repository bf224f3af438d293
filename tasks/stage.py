"""What every simulated scene is seen against."""

import mujoco


def add_plain_stage(spec: mujoco.MjSpec) -> None:
    """A pale sky, soft light from everywhere, and an off-screen buffer that is large enough."""
    spec.visual.global_.offwidth, spec.visual.global_.offheight = 1280, 960
    spec.visual.quality.offsamples = 0  # software rendering pays dearly for smoothed edges
    spec.visual.headlight.ambient = [0.35] * 3
    spec.visual.headlight.diffuse = [0.35] * 3
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.86, 0.89, 0.93],
        rgb2=[0.60, 0.66, 0.74],
        width=128,
        height=768,
    )
