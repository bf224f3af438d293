"""The report as text, beside what others have measured."""

from perception.report.summary import Bin, Summary

ROWS = (
    ("rotation_mean_deg", "rotation, mean [deg]"),
    ("rotation_median_deg", "rotation, median [deg]"),
    ("rotation_p95_deg", "rotation, 95 % [deg]"),
    ("translation_mean_mm", "translation, mean [mm]"),
    ("translation_x_mm", "  across, x [mm]"),
    ("translation_y_mm", "  across, y [mm]"),
    ("translation_z_mm", "  depth, z [mm]"),
    ("add_at_7p8mm", "corners within 7.8 mm (ADD)"),
    ("flip_rate", "flips, above 45 deg"),
    ("no_pose_rate", "no pose"),
    ("corner_rmse_visible_px", "visible corners, rms [px]"),
    ("corner_rmse_occluded_px", "hidden corners, rms [px]"),
    ("pck_visible_2px", "visible corners within 2 px"),
    ("pck_occluded_2px", "hidden corners within 2 px"),
    ("mask_iou", "mask, intersection over union"),
    ("nees_mean", "NEES, mean (ideal 6)"),
    ("nees_median", "NEES, median (ideal 5.35)"),
)
OTHERS = (
    "DeXtreme (3 cameras, 65 mm cube, simulated): 5.3 deg; 1.9 / 4.1 / 6.9 mm per axis",
    "OpenAI 2018 (3 cameras, simulated):          2.71 deg; 3.12 mm",
    "SERNF (1 camera):                            16 Hz; no accuracy given",
)


def accuracy_table(summary: Summary) -> str:
    """One number per line, then those of others."""
    lines = [f"{label:<34}{_text(summary[name]):>9}" for name, label in ROWS]
    return "\n".join([f"{summary['frames']} images", *lines, "", *OTHERS])


def binned_table(rows: list[Bin], label: str) -> str:
    """Rotation, translation, missing and turned poses, and NEES per bin."""
    head = f"{label:>36}{'images':>8}{'rot [deg]':>11}{'trans [mm]':>12}{'no pose':>9}{'turned':>9}"
    head += f"{'NEES':>8}"
    lines = [
        f"{row['name']:>36}{row['frames']:>8}"
        f"{_text(row['rotation_mean_deg']):>11}{_text(row['translation_mean_mm']):>12}"
        f"{_text(row['no_pose_rate']):>9}{_text(row['flip_rate']):>9}"
        f"{_text(row['nees_mean']):>8}"
        for row in rows
    ]
    return "\n".join([head, *lines])


def reasons_table(reasons: dict[str, int], images: int) -> str:
    """Why images gave no pose, the most frequent reason first."""
    lines = [
        f"{count:>8}{count / images:>9.1%}  {reason}"
        for reason, count in sorted(reasons.items(), key=lambda item: -item[1])
    ]
    return "\n".join(["no pose because", *(lines or ["       0"])])


def sequence_table(numbers: dict) -> str:
    """One number of a judged sequence per line."""
    lines = [f"{n:<22}{_text(value)}" for n, value in numbers.items() if n != "config"]
    return "\n".join(lines)


def _text(value: float | str | None) -> str:
    return "-" if value is None else f"{float(value):.3g}"
