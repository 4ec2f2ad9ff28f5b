"""What is asked of an episode: ``success and length < 200``.

Python's grammar, and none of its powers: a text is parsed, never run, and what is not on a short
list is refused. There are no calls, attributes or indices.
"""

import ast
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from robot_policy.core.errors import ConfigError, UnknownNameError

type Facts = Mapping[str, Any]
"""Field to value: text, number, truth value, list of these, or None where it is not known."""

_LONGEST = 10_000
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_ORDERINGS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_ALLOWED = (
    "names of fields, numbers, texts, lists, and, or, not, comparisons, in, + - * / // %, "
    "and A if CONDITION else B"
)


@dataclass(frozen=True)
class Condition:
    """An expression over the fields of an episode. Use `parse`.

    Attributes:
        text: As it was written.
        where: Option it came from, named in errors.
        tree: Parsed; holds nothing that is not understood.
    """

    text: str
    where: str
    tree: ast.expr

    @classmethod
    def parse(cls, text: str, *, where: str) -> "Condition":
        """Parses an expression.

        Raises:
            ConfigError: If it is none, or needs something that is not allowed.
        """
        if len(text) > _LONGEST:
            raise ConfigError("too long", where=where, expected=f"at most {_LONGEST} characters")
        try:
            tree = ast.parse(text.strip(), mode="eval").body
            condition = cls(text, where, tree)
            condition._check(tree)
        except SyntaxError as error:
            place = f", at character {error.offset}" if error.offset else ""
            raise ConfigError(
                f"not an expression{place}",
                where=where,
                got=repr(text),
                hint=f"may hold {_ALLOWED}",
            ) from error
        except (ValueError, RecursionError, MemoryError) as error:
            raise ConfigError("not an expression", where=where, got=repr(text[:60])) from error
        return condition

    @property
    def fields(self) -> list[str]:
        """Names of the fields it asks for."""
        names = (node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name))
        return list(dict.fromkeys(names))

    def check_fields(self, valid: Iterable[str]) -> None:
        """Refuses fields that no episode has.

        Raises:
            UnknownNameError: At the first one.
        """
        known = set(valid)
        for name in self.fields:
            if name not in known:
                raise UnknownNameError.of("field", name, known, where=self.where)

    def __call__(self, facts: Facts) -> Any:
        """Returns the value for one episode.

        A field that is not known is None: it equals nothing but None, no order holds with it, and
        arithmetic with it is None again.

        Raises:
            ConfigError: If values do not go together, as in ``length < 'a'``.
        """
        return self._value(self.tree, facts)

    def _check(self, node: ast.AST) -> None:
        if isinstance(node, ast.Compare):
            allowed = all(type(op) in _COMPARISONS for op in node.ops)
        elif isinstance(node, ast.BinOp):
            allowed = type(node.op) in _ARITHMETIC
        elif isinstance(node, ast.UnaryOp):
            allowed = isinstance(node.op, ast.Not | ast.USub | ast.UAdd)
        elif isinstance(node, ast.Constant):
            allowed = node.value is None or isinstance(node.value, str | bool | int | float)
        else:
            allowed = isinstance(node, ast.BoolOp | ast.IfExp | ast.Name | ast.List | ast.Tuple)
        if not allowed:
            got = ast.get_source_segment(self.text.strip(), node) or type(node).__name__  # pyright: ignore[reportArgumentType]
            raise ConfigError(
                "not allowed", where=self.where, got=repr(got[:60]), hint=f"may hold {_ALLOWED}"
            )
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self._check(child)

    def _value(self, node: ast.expr, facts: Facts) -> Any:
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return facts.get(node.id)
            case ast.List() | ast.Tuple():
                return [self._value(element, facts) for element in node.elts]
            case ast.BoolOp(op=ast.And()):
                return all(self._value(part, facts) for part in node.values)
            case ast.BoolOp():
                return any(self._value(part, facts) for part in node.values)
            case ast.UnaryOp(op=ast.Not()):
                return not self._value(node.operand, facts)
            case ast.UnaryOp():
                return self._arithmetic(
                    node, _SIGNS[type(node.op)], 0, self._value(node.operand, facts)
                )
            case ast.BinOp():
                left, right = self._value(node.left, facts), self._value(node.right, facts)
                return self._arithmetic(node, _ARITHMETIC[type(node.op)], left, right)
            case ast.IfExp():
                chosen = node.body if self._value(node.test, facts) else node.orelse
                return self._value(chosen, facts)
            case ast.Compare():
                return self._comparison(node, facts)
            case _:
                raise AssertionError(node)  # what is not understood was refused by `parse`

    def _comparison(self, node: ast.Compare, facts: Facts) -> bool:
        left = self._value(node.left, facts)
        for op, other in zip(node.ops, node.comparators, strict=True):
            right = self._value(other, facts)
            unknown = left is None or right is None
            if unknown and isinstance(op, _ORDERINGS):
                return False
            if right is None and isinstance(op, ast.In | ast.NotIn):
                return isinstance(op, ast.NotIn)
            try:
                holds = _COMPARISONS[type(op)](left, right)
            except TypeError as error:
                raise self._mismatch(node, left, right) from error
            if not holds:
                return False
            left = right
        return True

    def _arithmetic(
        self, node: ast.expr, operation: Callable[[Any, Any], Any], left: Any, right: Any
    ) -> Any:
        if left is None or right is None:
            return None
        if not (isinstance(left, int | float) and isinstance(right, int | float)):
            raise self._mismatch(node, left, right)
        try:
            return operation(left, right)
        except (ZeroDivisionError, OverflowError) as error:
            raise ConfigError(f"{error}", where=self.where, got=self._source(node)) from error

    def _mismatch(self, node: ast.expr, left: Any, right: Any) -> ConfigError:
        return ConfigError(
            "values that do not go together",
            where=self.where,
            got=f"{self._source(node)} with {left!r} and {right!r}",
        )

    def _source(self, node: ast.expr) -> str:
        return repr(ast.get_source_segment(self.text.strip(), node) or self.text)


_SIGNS: Mapping[type[ast.unaryop], Callable[[Any, Any], Any]] = {
    ast.USub: operator.sub,
    ast.UAdd: operator.add,
}
