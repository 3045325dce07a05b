"""A kind of contract that import-linter does not bring along; the contracts themselves are in pyproject.toml."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, output


class NoCircles(Contract):
    """No module imports itself by way of others, in functions and under TYPE_CHECKING neither.

    Unlike import-linter's own `acyclic_siblings`, a package's ``__init__`` counts as a module like any other: one that
    gathers its modules' names must not be imported by them.
    """

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Sort the modules so that each comes after those that it imports."""
        try:
            TopologicalSorter({m: graph.find_modules_directly_imported_by(m) for m in graph.modules}).prepare()
        except CycleError as error:
            return ContractCheck(kept=False, metadata={"circle": error.args[1]})
        return ContractCheck(kept=True)

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print one circle, each module imported by the next; there may be more."""
        output.print_error(" <- ".join(check.metadata["circle"]))
