"""YAML reader for plain data: no objects, no duplicate keys, bounded size; variables are never syntax."""

import re
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.files import require_regular_file

# 2 MiB; a configuration with ten thousand input files has about 1 MB.
_MOST_CHARACTERS = 1 << 21
# Maximum values of a document, with aliases expanded.
_MOST_VALUES = 200_000
_MOST_DIGITS = 100
# Lengths are bounded, so that a text of unclosed variables takes linear time.
_VARIABLE = re.compile(r"\$\{(\w{1,200})(?::-([^}\n]{0,1000}))?\}")
_PLAIN_TAGS = ("str", "int", "float", "bool", "null", "seq", "map")
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_STRING, _NULL = "tag:yaml.org,2002:str", "tag:yaml.org,2002:null"


def read_yaml(file: Path, variables: Mapping[str, str] | None = None) -> Any:
    """Parse a YAML file; arguments, result and errors as for `parse_yaml`.

    Pipes of this process (`<(...)`, /dev/stdin) and /dev/null are accepted as well.

    Raises:
        UsageError: the file does not exist; is a named pipe, socket, folder or device; is not UTF-8; or is
            longer than 2 MiB.
    """
    try:
        if not file.exists():
            raise UsageError("no such config file", where=str(file), hint="Correct --config")
        if not _is_own_pipe(file):
            require_regular_file(file)
        with file.open(encoding="utf-8") as stream:
            text = stream.read(_MOST_CHARACTERS + 1)
    except InputError as error:
        raise UsageError(error.what, where=error.where, hint=error.hint) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {error}", where=str(file)) from None
    if len(text) > _MOST_CHARACTERS:
        raise UsageError(f"is longer than {_MOST_CHARACTERS >> 20} MiB", where=str(file))
    return parse_yaml(text, where=str(file), variables=variables)


def parse_yaml(text: str, *, where: str, variables: Mapping[str, str] | None = None) -> Any:
    """Parse a YAML document into dicts, lists, strings, numbers, booleans and None.

    Args:
        where: name of the text, for errors.
        variables: values of `${VAR}`. Values and defaults always become part of a string, even if they
            contain quotes, colons or newlines. A plain scalar that becomes empty is null, as in YAML. With
            None, `${` is ordinary text.

    Raises:
        UsageError: the text is not valid YAML, has a duplicate key, an unset variable or a tag that is not
            plain data, or its aliases expand to more than 200,000 values.
    """
    loader = None
    try:
        loader = _Loader(text, where, variables)
        return loader.get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"is not valid YAML: {_fault(error)}", where=where) from None
    finally:
        if loader is not None:
            loader.dispose()


def _fault(error: Exception) -> str:
    """What the parser found and where, without the line itself and the names in it: it may hold a secret."""
    what, place = str(error), ""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        what = ", ".join(part for part in (error.context, error.problem) if part)
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return re.sub(r"'[^'<>]{3,}'", "'...'", " ".join(what.split())) + place


def _is_own_pipe(file: Path) -> bool:
    """Whether the path is an open pipe of this process or /dev/null, so that reading it terminates."""
    try:
        mode = file.stat().st_mode
    except OSError:
        return False
    name = str(file)
    return name == "/dev/null" or (name.startswith(("/dev/", "/proc/")) and not stat.S_ISCHR(mode))


class _Loader(yaml.SafeLoader):
    """Loader for one document; variables are replaced by marks before parsing and by values afterwards."""

    def __init__(self, text: str, where: str, variables: Mapping[str, str] | None) -> None:
        self._where, self._variables = where, variables
        self._found: list[tuple[str, str | None]] = []
        self._composed = 0
        if variables is not None:
            # The parser sees a random mark for each variable, so values are never parsed as YAML.
            self._mark = f"\ue000{secrets.token_hex(8)}\ue000"
            self._marked = re.compile(f"{self._mark}(\\d+)\ue000")
            text = _VARIABLE.sub(self._put_mark, text)
        super().__init__(text)

    def _put_mark(self, match: re.Match[str]) -> str:
        self._found.append((match[1], match[2]))
        return f"{self._mark}{len(self._found) - 1}\ue000"

    def get_single_data(self) -> Any:
        """Parse the document and check its size before constructing values."""
        node = self.get_single_node()
        if node is None:
            return None
        self._refuse_bomb(node)
        return self.construct_document(node)

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        # Refused while it is parsed: PyYAML needs a minute for 2 MiB of short values.
        self._composed += 1
        if self._composed > _MOST_VALUES:
            raise UsageError(
                f"has more than {_MOST_VALUES:,} values",
                where=f"{self._where}:{self.line + 1}",
                hint="Name fewer files, or join them",
            )
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise UsageError(
                    f"the key {key.value} occurs twice", where=self._line(key), hint="Join the two"
                )
            seen.add(key.value)
        return node

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        node = super().compose_scalar_node(anchor)
        if self._found and self._mark in node.value:
            # Replaced only in scalars, so comments may contain unset variables.
            node.value = self._marked.sub(lambda match: self._value(match, node), node.value)
            if node.tag != _STRING or node.style is None:
                node.tag = _STRING if node.value else _NULL
        if node.tag in _NUMBERS and len(node.value) > _MOST_DIGITS:
            raise UsageError(f"a number has {len(node.value)} characters", where=self._line(node))
        return node

    def _value(self, match: re.Match[str], node: yaml.Node) -> str:
        name, default = self._found[int(match[1])]
        value = (self._variables or {}).get(name, default)
        if value is None:
            raise UsageError(
                f"the variable {name} is not set",
                where=self._line(node),
                hint=f"Write ${{{name}:-default}} or set it",
            )
        return value

    def _refuse_bomb(self, root: yaml.Node) -> None:
        """Count the values with aliases expanded; visits each node once, children first."""
        sizes: dict[int, int] = {}
        stack = [(root, False)]
        while stack:
            node, is_counted = stack.pop()
            inner = _children(node)
            if is_counted:
                sizes[id(node)] = 1 + sum(sizes[id(child)] for child in inner)
                if sizes[id(node)] > _MOST_VALUES:
                    raise UsageError(
                        f"its aliases expand to more than {_MOST_VALUES:,} values",
                        where=self._line(node),
                        hint="Write the values out once",
                    )
            elif sizes.get(id(node)) == 0:
                raise UsageError("an alias holds itself", where=self._line(node), hint="Write it out")
            elif id(node) not in sizes:
                # 0: its children are being counted.
                sizes[id(node)] = 0
                stack.append((node, True))
                stack += [(child, False) for child in inner]

    def _line(self, node: yaml.Node) -> str:
        return f"{self._where}:{node.start_mark.line + 1}"


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _refuse_tag(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    raise yaml.constructor.ConstructorError(
        None, None, f"the tag {node.tag} is not one of {', '.join(_PLAIN_TAGS)}", node.start_mark
    )


_Loader.yaml_constructors = {
    tag: make
    for tag, make in yaml.SafeLoader.yaml_constructors.items()
    if tag in {f"tag:yaml.org,2002:{name}" for name in _PLAIN_TAGS}
}
_Loader.add_constructor(None, _refuse_tag)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
