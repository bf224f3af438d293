"""Write the generated parts of committed pages: `python -m docs.generate`."""

from docs.generate import paper_index, physics, tables
from docs.generate.asking import ROOT
from docs.generate.marks import Marked

PARTS = {
    Marked(ROOT / "docs" / "why" / "paper.md", "paper index"): paper_index.index,
    Marked(ROOT / "docs" / "reference" / "physics.md", "physics"): physics.tables,
}


def main() -> None:
    for part, text in PARTS.items():
        part.write(text())
        print(f"{part.name} -> {part.page.relative_to(ROOT)}")
    for page in tables.write(ROOT):
        print(f"tables -> {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
