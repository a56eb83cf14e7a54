"""All scripts written by hand: one corner of the protocol each, swept from end to end."""

from . import tree_cases, wire_cases
from .script import Script

CASES = [
    value
    for module in (wire_cases, tree_cases)
    for name, value in vars(module).items()
    if getattr(value, "__module__", None) == module.__name__ and name[0] != "_"
]


def script(case, number):
    """(root, steps) of a case; the number keeps the roots of different runs apart."""
    made = Script(f"/k{number:05}")
    case(made)
    return made.root, made.steps
