"""The shape of the package: no file imports itself by way of others, and nothing lies loose."""

import ast
import graphlib
from pathlib import Path

ROOT = Path(__file__).parents[1] / "hpsearch"


def import_graph():
    """By file, as a dotted name, the files that it imports anywhere in its text."""
    files = {
        ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(
            ".__init__"
        ): path
        for path in ROOT.rglob("*.py")
    }
    graph = {}
    for name, path in files.items():
        found = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in files:
                whole = [f"{node.module}.{alias.name}" for alias in node.names]
                found |= {each if each in files else node.module for each in whole}
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names if alias.name in files}
        graph[name] = found - {name}
    return graph


def test_no_file_imports_itself_by_way_of_others():
    graph = import_graph()
    assert len(graph["hpsearch.runs.session"]) > 10  # imports are found
    try:
        list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from error


def test_nothing_lies_loose():
    assert sorted(path.name for path in ROOT.glob("*.py")) == ["__init__.py", "__main__.py"]
    rooms = [path for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"]
    for room in rooms:
        assert (room / "__init__.py").exists() or room.name == "guide", room


def test_no_two_classes_have_one_name():
    found = {}
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(path.relative_to(ROOT).as_posix())
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}
