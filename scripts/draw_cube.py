"""Draw the object that cameras recognise: OBJ and texture for renderers, a PDF to print.

python scripts/draw_cube.py                          # what assets/cube holds
python scripts/draw_cube.py --out runs/cube --size_mm 60
python scripts/draw_cube.py --out runs/cylinder --object cylinder --size_mm 50 --height_mm 60
"""

from sernf_isaac.cli import run_main
from sernf_isaac.flags import ScriptParser
from tasks.assets import CUBE_FOLDER, remade


def main() -> None:
    parser = ScriptParser(__doc__)
    parser.add_argument("--out", default=remade(CUBE_FOLDER))
    parser.add_argument("--object", default="cube")
    parser.add_argument("--size_mm", default=45.0)
    parser.add_argument("--height_mm", default=None)
    args = parser.parse()
    from perception.marked import MarkedObject
    from perception.marked_files import write_object

    if args.height_mm and args.object != "cylinder":
        raise ValueError(f"--height_mm is for a cylinder, not for a {args.object}")
    marked = MarkedObject(args.object, args.size_mm / 1000.0, (args.height_mm or 0.0) / 1000.0)
    for path in write_object(args.out, marked):
        print(path)


if __name__ == "__main__":
    run_main(main)
