"""A simulated shell's numbers: `$((…))`, and words where a number is expected.

Interface: `arithmetic(text, env)`, `integer(word)`.
The rule not to break: whole numbers only, and nothing is evaluated but the operators of the table.
A real sh computes with C's longs.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping

from k8snb.cri.simulated_script import UnsupportedError

_OPERATORS: Mapping[type, Callable[[int, int], int]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.floordiv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow,
}  # fmt: skip


def arithmetic(text: str, env: Mapping[str, str]) -> int:
    """The value of `$((text))`. Raises UnsupportedError."""
    try:
        return _number(ast.parse(text.strip(), mode="eval").body, env)
    except (SyntaxError, ValueError, ZeroDivisionError):
        raise UnsupportedError(f"the arithmetic $(({text}))") from None


def _number(node: ast.expr, env: Mapping[str, str]) -> int:
    match node:
        case ast.Constant(value=int(value)):
            return value
        case ast.Name(id=name):
            return int(env.get(name) or 0)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_number(inner, env)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_number(left, env), _number(right, env))
    raise ValueError(node)


def integer(word: str) -> int:
    """A word as a number; 0 when it is none."""
    return int(word) if re.fullmatch(r"[-+]?\d+", word.strip()) else 0
