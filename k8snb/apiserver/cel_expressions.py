"""kube-apiserver's CEL: expressions in the Common Expression Language, with Kubernetes' library and a limit on costs.

Interface: `expression(text, variables)` reads one; `Expression.run(variables, budget)`; `CelError` says in upstream's
words what is wrong with either; `Budget`.
The rule not to break: whatever an expression says, running it ends soon; what cannot be run as real Kubernetes runs it
is refused by name when it is written.
Source: `apiserver/pkg/cel`, `apiserver/pkg/admission/plugin/cel`. A package of its own, common-expression-language,
reads
and runs the language; of upstream's additions, optional values and two-variable loops are not implemented by k8snb.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from k8snb.apiserver.cel_library import FUNCTIONS
from k8snb.apiserver.cel_syntax import COLLECT, LOOPS, STEP, Text

Functions = Mapping[str, Callable[..., Any]]
PER_CALL, PER_RUN = 1_000_000, 10_000_000  # upstream's limits on one expression, and on all of one policy
STEP_COST = 10  # what one step of a loop is charged: so much of it takes a real loop too
OUT_OF_BUDGET = "operation cancelled: actual cost limit exceeded"
MISSING_PACKAGE = "CEL: not implemented by k8snb without the package common-expression-language: pip install it"
_CORE = frozenset((
    "bytes", "contains", "double", "duration", "endsWith", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear",
    "getFullYear", "getHours", "getMilliseconds", "getMinutes", "getMonth", "getSeconds", "int", "matches", "size",
    "startsWith", "string", "timestamp", "type", "uint", "dyn", "hasValue", "value", STEP, COLLECT,
))  # fmt: skip
# what real Kubernetes has and this has not
_ELSEWHERE = frozenset(("transformList", "transformMap", "transformMapEntry", "escapeKey", "orValue", "optMap",
                        "optFlatMap", "of", "ofNonZeroValue", "none", "fold", "fieldSelector",
                        "labelSelector"))  # fmt: skip
_TYPES = frozenset(("int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type",
                    "optional_type"))  # fmt: skip
# the names before the dot of functions such as `math.greatest`
_SPACES = frozenset(("base64", "cel", "format", "ip", "lists", "math", "optional", "sets", "strings"))


class CelError(ValueError):
    """An expression that cannot be read, or has no value."""


class Budget:
    """What may still be spent. An expression may spend at most PER_CALL of it."""

    def __init__(self, total: int = PER_RUN) -> None:
        self.left = total


class _Meter:
    """The costs of one run. Nothing here raises: the library would print it."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._left = self._granted = min(PER_CALL, budget.left)
        self._collected = 0
        self.failure: str = ""

    @property
    def spent(self) -> bool:
        return self._left < 0

    def step(self) -> bool:
        self._left -= STEP_COST
        return self._left >= 0

    def collect(self, value: Any) -> bool | None:
        """The library copies the list that it builds at every step. Null, which is no condition, ends the loop."""
        self._collected += _weight(value)
        self._left -= STEP_COST + self._collected // 4
        return True if self._left >= 0 else None

    def settle(self) -> None:
        self._budget.left -= self._granted - self._left

    def metered(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function that is charged for the size of what it gets, and whose failure is remembered."""

        def call(*arguments: Any) -> Any:
            self._left -= 1 + sum(len(each) for each in arguments if isinstance(each, str | list | dict)) // 10
            if self.spent:
                return None
            try:
                return function(*arguments)
            except Exception as error:
                self.failure = self.failure or str(error) or type(error).__name__
                return None

        return call


class Expression:
    """One expression over known variables. Raises CelError where it cannot be read or kept.

    `extra` are functions that only some expressions have; the function that stands behind them is given to `run`.
    """

    def __init__(self, source: str, variables: Iterable[str], extra: Iterable[str] = ()) -> None:
        self.source = source
        try:
            import cel
            from cel.stdlib import STDLIB_FUNCTIONS
        except ImportError:
            raise CelError(MISSING_PACKAGE) from None
        self._context = cel.Context
        self._text = _read(source)
        _compiled(cel, source)  # what is wrong is told of the text as it was written
        self._program = _compiled(cel, self._text.prepared)
        self._known: Functions = {**STDLIB_FUNCTIONS, **FUNCTIONS}
        self._asked = frozenset(self._program.functions())
        self._check_functions(frozenset(extra))
        self._check_variables(frozenset(self._program.variables()), frozenset(variables))

    @property
    def variables(self) -> frozenset[str]:
        """The variables that it speaks of."""
        return frozenset(self._program.variables()) - self._text.bound

    def run(self, variables: Mapping[str, Any], budget: Budget | None = None, extra: Functions | None = None) -> Any:
        """What the expression is worth. Raises CelError where it has no value, or would cost too much."""
        meter = _Meter(budget or Budget())
        context = self._context()
        context.add_function(STEP, meter.step)
        context.add_function(COLLECT, meter.collect)
        for name, function in {**self._known, **(extra or {})}.items():
            if name.rpartition(".")[2] in self._asked:
                context.add_function(name, meter.metered(function))
        for name in self.variables & variables.keys():
            context.add_variable(name, variables[name])
        try:
            found = self._program.execute(context)
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise CelError(OUT_OF_BUDGET if meter.spent else meter.failure or _words(error)) from None
        finally:
            meter.settle()
        if meter.spent or meter.failure:
            raise CelError(OUT_OF_BUDGET if meter.spent else meter.failure)
        return found

    def _check_functions(self, extra: frozenset[str]) -> None:
        """Raises CelError for a function that nobody has, or that only real Kubernetes has."""
        known = {name.rpartition(".")[2] for name in self._known} | _CORE | extra
        for name in sorted(self._asked):
            if name[0].isalpha() and name not in known:
                if name in LOOPS:
                    raise CelError(f"{name} with two variables: not implemented by k8snb")
                if name in _ELSEWHERE:
                    raise CelError(f"{name}: not implemented by k8snb")
                raise CelError(self._undeclared(name))

    def _check_variables(self, found: frozenset[str], declared: frozenset[str]) -> None:
        for name in sorted(found - declared - self._text.bound - _TYPES - _SPACES):
            raise CelError(self._undeclared(name))

    def _undeclared(self, name: str) -> str:
        place = self._text.place(name)
        picture = f"\n | {self.source}\n | {'.' * (place - 1)}^" if "\n" not in self.source else ""
        where = f"compilation failed: ERROR: <input>:1:{place}"
        return f"{where}: undeclared reference to '{name}' (in container ''){picture}"


def _weight(value: Any) -> int:
    """How many values a value consists of."""
    if isinstance(value, str | bytes):
        return 1 + len(value) // 16
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return 1 + sum(map(_weight, parts))


@lru_cache(maxsize=1024)
def expression(source: str, variables: tuple[str, ...], extra: tuple[str, ...] = ()) -> Expression:
    """An expression, read once. Raises CelError."""
    return Expression(source, variables, extra)


def _read(source: str) -> Text:
    try:
        return Text(source)
    except ValueError as error:
        raise CelError(str(error)) from None


def _compiled(library: Any, source: str) -> Any:
    try:
        return library.compile(source)
    except ValueError as error:
        text = str(error).partition(": ")[2] or str(error)
        if "unsupported syntax" in text:
            raise CelError(f"compilation failed: {text}: optional values are not implemented by k8snb") from None
        raise CelError(f"compilation failed: {text}") from None


def _words(error: Exception) -> str:
    """What cel-go says of the same mishap."""
    text = str(error)
    if isinstance(error, KeyError):
        return f"no such key: {error.args[0]}"
    if isinstance(error, ZeroDivisionError):
        return "division by zero"
    if isinstance(error, TypeError) or text.startswith("Undefined variable or function"):
        return "no such overload"
    if text.startswith("Function '"):
        return text.partition("error: ")[2].removesuffix(". Check function arguments and their types.") or text
    return text
