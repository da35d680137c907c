"""docs/architecture.md, the contracts of import-linter and the folders that exist tell the same."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import grimp

from nvi_operator.language.model.base import Model
from nvi_operator.language.model.gateway import Gateway
from nvi_operator.language.model.sections import LANGUAGE
from nvi_operator.language.operator.model import Operator

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "nvi_operator"
TEXT = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
(LAYERS,) = (contract for contract in CONTRACTS if contract["type"] == "layers")
FOLDERS = {path.parent.name for path in PACKAGE.glob("*/*.py")}
FILES = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}


def _named(layers: list[str]) -> set[str]:
    return {name.strip() for layer in layers for name in layer.split("|")}


def _documented() -> list[str]:
    block = re.search(r"```layers\n(.*?)```", TEXT, re.DOTALL)
    assert block, "docs/architecture.md has no block of layers"
    return block[1].splitlines()


def test_the_document_names_the_layers_that_are_checked() -> None:
    assert _documented() == LAYERS["layers"]


def test_every_folder_and_file_has_a_layer() -> None:
    assert _named(LAYERS["layers"]) | set(LAYERS["exhaustive_ignores"]) == FOLDERS | FILES


def test_the_document_describes_every_folder() -> None:
    section = TEXT.partition("\n## Folders\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z]+)` \|", section, re.MULTILINE)
    assert sorted(rows) == sorted(FOLDERS)


def test_a_large_package_has_a_map_with_every_file() -> None:
    lists = {"kinds", "drivers", "commands", "checks"}  # each file is one entry of a list
    for package in PACKAGE.rglob("__init__.py"):
        files = {path.stem for path in package.parent.glob("*.py")} - {"__init__"}
        if len(files) >= 10 and package.parent.name not in lists:
            words = set(re.findall(r"\w+", ast.get_docstring(ast.parse(package.read_text(encoding="utf-8"))) or ""))
            assert files <= words, f"{package}: {sorted(files - words)}"


def test_no_kind_is_left_out_of_their_independence() -> None:
    (contract,) = (contract for contract in CONTRACTS if contract["type"] == "independence")
    assert contract["modules"] == ["nvi_operator.kinds.*"]


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = grimp.build_graph("nvi_operator", exclude_type_checking_imports=True)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    TopologicalSorter(imports).prepare()  # raises CycleError, which names them


def test_the_name_of_a_public_class_names_one_class() -> None:
    trees = (ast.parse(path.read_bytes()) for path in PACKAGE.rglob("*.py"))
    names = Counter(node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef))
    assert {name: count for name, count in names.items() if count > 1 and not name.startswith("_")} == {}


def test_pydantic_has_no_annotation_of_a_model_to_evaluate() -> None:
    todo: list[type] = [Model]
    annotated: dict[str, object] = {}
    for model in todo:
        todo += model.__subclasses__()
    for model in (*todo, *LANGUAGE.bulk.values()):
        if model.__module__.startswith("nvi_operator."):
            annotated |= {f"{model.__name__}.{name}": it for name, it in model.__annotations__.items()}
    assert {f"{Gateway.__name__}.spec", f"{Operator.__name__}.spec", "Forward.ports"} <= annotated.keys()
    assert [name for name, annotation in annotated.items() if isinstance(annotation, str)] == []
