"""What is inside the operations of a traced program."""

from __future__ import annotations

from typing import Any

__all__ = ["bodies", "inline_body"]

_BODIES = ("jaxpr", "call_jaxpr", "fun_jaxpr")
# Operations whose body runs exactly once, with the operation's own inputs.
_INLINE = frozenset({
    *("jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint", "custom_lin"),
    *("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"),
})  # fmt: skip


def bodies(parameters: dict[str, Any]) -> list[Any]:
    """Return the programs within an operation."""
    candidates = [
        each for value in parameters.values() for each in (value if isinstance(value, (tuple, list)) else (value,))
    ]
    programs = [getattr(each, "jaxpr", each) for each in candidates]
    return [program for program in programs if hasattr(program, "eqns")]


def inline_body(equation: Any) -> Any:
    """Return the program of an operation that runs exactly once, with the operation's own inputs; None for others."""
    names = _BODIES if equation.primitive.name in _INLINE else ()
    return next((equation.params[name] for name in names if name in equation.params), None)
