"""The source code that a stage's bytes depend on, found by following names through the project's modules.

A definition is a top-level statement of a module. From a stage's `run` the search follows every name that a
definition uses, also through imports inside functions. What cannot change a byte is left out: docstrings,
annotations, the arguments of `raise`, calls of a logger, and the modules in `LEFT_OUT`.
"""

import ast
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PACKAGES = ("kgcorpus", "pipelines", "trainer")
# module -> why its code cannot change a table's bytes without changing a fingerprint as well.
LEFT_OUT = {
    "kgcorpus.config": "a value that acts is in a fingerprint",
    "kgcorpus.contracts.errors": "texts for a user",
    "kgcorpus.contracts.links": "refuses paths",
    "kgcorpus.contracts.manifest": "describes finished tables",
    "kgcorpus.contracts.published_tables": "locked table by table: schema, key and shards",
    "kgcorpus.contracts.schema": "locked table by table: schema, key and shards",
    "kgcorpus.contracts.stages": "makes the fingerprints",
    "kgcorpus.contracts.store": "moves finished files",
    "kgcorpus.contracts.tables": "locked table by table: schema, key and shards",
    "pipelines.failures": "texts for a user",
}
Definition = tuple[str, str]  # (module, name); the name "*" is the whole module
_LOGGERS = {"log", "_log", "logger"}


class Module:
    """One source file: its definitions by name, and what its imported names refer to."""

    def __init__(self, path: Path) -> None:
        self.definitions: dict[str, list[ast.stmt]] = defaultdict(list)
        self.imports: dict[str, str] = {}
        self.always: list[ast.stmt] = []
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(statement, ast.Import | ast.ImportFrom):
                self.imports |= imported_names(statement)
            elif not _is_for_readers(statement):
                names = _bound_names(statement)
                for name in names:
                    self.definitions[name].append(statement)
                if not names:
                    self.always.append(statement)


class Reach:
    """What definitions reach, in one source tree."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.module = cache(self._read)
        self._uses = cache(self._read_uses)
        self._code = cache(_dump)

    def from_definitions(self, roots: Iterable[Definition]) -> set[Definition]:
        """The roots and every definition that they use, directly or not.

        Raises:
            LookupError: a root does not exist.
        """
        queue = [resolved for root in roots for resolved in self._resolve(".".join(root))]
        found: set[Definition] = set()
        while queue:
            definition = queue.pop()
            if definition not in found:
                found.add(definition)
                queue += self._uses(definition)[0]
        return found

    def hashes(self, definitions: Iterable[Definition]) -> dict[str, str]:
        """Module -> hash of the code of its definitions among these, in the module's order."""
        by_module = defaultdict(set)
        for module, name in definitions:
            by_module[module].add(name)
        return {module: self._hash(module, names) for module, names in sorted(by_module.items())}

    def _hash(self, module: str, names: set[str]) -> str:
        statements = {id(node): node for name in names for node in self._statements((module, name))}
        ordered = sorted(statements.values(), key=lambda node: node.lineno)
        external = sorted({use for name in names for use in self._uses((module, name))[1]})
        text = "\n".join([*external, *map(self._code, ordered)])
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def _read_uses(self, definition: Definition) -> tuple[list[Definition], set[str]]:
        """The project's definitions that this one uses; the names that it has from other libraries."""
        module = self.module(definition[0])
        own: list[Definition] = []
        external: set[str] = set()
        for statement in self._statements(definition):
            imports = dict(module.imports)
            for node in _nodes(statement):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    imports |= imported_names(node)
            for name in _dotted_names(statement):
                first, _, rest = name.partition(".")
                if first not in imports:
                    own += [(definition[0], first)] if first in module.definitions else []
                elif imports[first].partition(".")[0] in PACKAGES:
                    own += self._resolve(f"{imports[first]}.{rest}".rstrip("."))
                else:
                    external.add(f"{first} = {imports[first]}")
        return own, external

    def _resolve(self, dotted: str) -> list[Definition]:
        """The definition of a dotted name; an imported name leads on to where it is defined."""
        parts = dotted.split(".")
        n = max(n for n in range(1, len(parts) + 1) if self._path(".".join(parts[:n])))
        module = ".".join(parts[:n])
        if any(module == left or module.startswith(f"{left}.") for left in LEFT_OUT):
            return []
        if n == len(parts):
            return [(module, "*")]
        name, source = parts[n], self.module(module)
        if name in source.definitions:
            return [(module, name)]
        if name in source.imports:
            target = source.imports[name]
            return self._resolve(target) if target.partition(".")[0] in PACKAGES else []
        raise LookupError(f"{module} has no {name}")

    def _statements(self, definition: Definition) -> list[ast.stmt]:
        module, name = self.module(definition[0]), definition[1]
        if name == "*":
            return [*module.always, *(node for nodes in module.definitions.values() for node in nodes)]
        return [*module.always, *module.definitions[name]]

    def _path(self, module: str) -> Path | None:
        folder = self._root.joinpath(*module.split("."))
        return next((p for p in (folder / "__init__.py", folder.with_suffix(".py")) if p.is_file()), None)

    def _read(self, module: str) -> Module:
        path = self._path(module)
        if path is None:
            raise LookupError(f"there is no module {module}")
        return Module(path)


def imported_names(statement: ast.Import | ast.ImportFrom) -> dict[str, str]:
    """Local name -> dotted name that it refers to."""
    if isinstance(statement, ast.ImportFrom):
        return {alias.asname or alias.name: f"{statement.module}.{alias.name}" for alias in statement.names}
    return {
        alias.asname or alias.name.partition(".")[0]: alias.name
        if alias.asname
        else alias.name.partition(".")[0]
        for alias in statement.names
    }


def _bound_names(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    nodes = ast.walk(statement)
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _is_for_readers(node: ast.AST) -> bool:
    """A docstring, a logger's call or an import for annotations alone: nothing that acts on the bytes."""
    match node:
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)))):
            return name in _LOGGERS
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
    return False


def _children(node: ast.AST) -> Iterator[tuple[str, ast.AST | list[ast.AST] | object]]:
    """A node's fields that can act on the bytes."""
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "type_comment", "kind", "ctx"} or value in (None, []):
            continue
        if isinstance(node, ast.Raise) and name == "exc" and isinstance(value, ast.Call):
            yield name, value.func
        elif isinstance(value, list):
            yield name, [item for item in value if not _is_for_readers(item)]
        else:
            yield name, value


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for _, value in _children(node):
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, ast.AST):
                yield from _nodes(item)


def _dotted_names(statement: ast.AST) -> Iterator[str]:
    """Each name that is used, with the attributes that follow it: `a.b` in `a.b(c)`, and `c`."""
    inner: set[int] = set()
    for node in _nodes(statement):
        if isinstance(node, ast.Attribute | ast.Name) and id(node) not in inner:
            parts: list[str] = []
            value: ast.expr = node
            while isinstance(value, ast.Attribute):
                parts.append(value.attr)
                value = value.value
                inner.add(id(value))
            if isinstance(value, ast.Name):
                yield ".".join([value.id, *reversed(parts)])


def _dump(value: object) -> str:
    """The tree as text, the same for every Python version; names of imports are resolved elsewhere."""
    if isinstance(value, ast.Import | ast.ImportFrom):
        return "import"
    if isinstance(value, ast.AST):
        fields = (f"{name}={_dump(item)}" for name, item in _children(value))
        return f"{type(value).__name__}({', '.join(fields)})"
    if isinstance(value, list):
        return f"[{', '.join(map(_dump, value))}]"
    return repr(value)
