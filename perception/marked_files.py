"""Writes a marked object: an OBJ and a texture for every renderer, a page to print."""

from pathlib import Path

from PIL import Image

from perception.cube_art import (
    ATLAS_NAME,
    MATERIAL_NAME,
    OBJ_NAME,
    PDF_NAME,
    atlas,
    obj_text,
)
from perception.marked import MarkedObject
from perception.marked_mesh import mesh_obj_text
from perception.print_page import check_fits, write_page


def write_object(folder: Path, marked: MarkedObject) -> list[Path]:
    """Write OBJ, material, atlas and PDF into a folder; returns their paths.

    Raises:
        OSError: If they cannot be written; names the folder or file.
        ValueError: If the object is too large for the page.
    """
    check_fits(marked)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; name a folder")
    folder.mkdir(parents=True, exist_ok=True)
    is_cube = marked.shape == "cube"
    text = obj_text(marked.size_m) if is_cube else mesh_obj_text(marked, MATERIAL_NAME)
    (folder / OBJ_NAME).write_text(text)
    (folder / MATERIAL_NAME).write_text(f"newmtl cube\nKd 1 1 1\nmap_Kd {ATLAS_NAME}\n")
    Image.fromarray(atlas()).save(folder / ATLAS_NAME, optimize=True)
    write_page(folder / PDF_NAME, marked)
    return [folder / name for name in (OBJ_NAME, MATERIAL_NAME, ATLAS_NAME, PDF_NAME)]
