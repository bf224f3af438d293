"""YAML files that people write: what is wrong with one is named with its file and line."""

from pathlib import Path

import yaml


class _Unique(yaml.SafeLoader):
    """Refuses a key that is given twice, of which PyYAML silently takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        first: dict[str, int] = {}
        for key_node, _ in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if key in first and key_node.tag != "tag:yaml.org,2002:merge":
                lines = f"lines {first[key]} and {line}" if first[key] != line else f"line {line}"
                raise ValueError(f"{key!r} is given twice, in {lines}; delete one")
            first[key] = line
        return super().construct_mapping(node, deep)


def read_text(path: Path) -> str:
    """A file of text in UTF-8, with or without a mark at its start.

    Raises:
        ValueError: If it is in another encoding; names the file.
    """
    data = path.read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ValueError(f"{path} is text in UTF-16; save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(f"{path} is not text in UTF-8 (line {line}); save it as UTF-8") from error


def read_yaml(path: Path) -> object:
    """What a YAML file holds; None if nothing.

    Raises:
        ValueError: If it is no YAML in UTF-8, or gives a key twice; names file, key and lines.
    """
    text = read_text(path)
    try:
        return yaml.load(text, _Unique)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not valid YAML: {_place(error)}") from error
    except ValueError as error:  # also dates and numbers that are none
        raise ValueError(f"{path}: {error}") from error


def _place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else problem
