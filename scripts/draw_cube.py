"""Draw the cube that cameras recognise: OBJ and texture for renderers, a PDF to print and fold.

python scripts/draw_cube.py                          # what assets/cube holds
python scripts/draw_cube.py --out runs/cube --size_mm 50
"""

from sernf_isaac.cli import run_main
from sernf_isaac.flags import ScriptParser
from tasks.assets import CUBE_FOLDER, remade


def main() -> None:
    parser = ScriptParser(__doc__)
    parser.add_argument("--out", default=remade(CUBE_FOLDER))
    parser.add_argument("--size_mm", type=float, default=45.0, help="edge [mm]")
    args = parser.parse()
    from perception.cube_art import write_cube

    if not 10.0 <= args.size_mm <= 65.0:
        raise ValueError(f"--size_mm {args.size_mm:g}: a cube of 10 to 65 mm fits the page")
    for path in write_cube(args.out, args.size_mm / 1000.0):
        print(path)


if __name__ == "__main__":
    run_main(main)
