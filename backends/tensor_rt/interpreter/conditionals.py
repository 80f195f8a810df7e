"""If-conditionals: of two subnetworks, only the one that the condition chooses is evaluated.

``output = true_output if condition else false_output``, for each output of the conditional. What a branch computes lies
inside of the conditional if it depends on an input layer of it; what depends on none is computed before.

Source: NVIDIA, `Working with Conditionals
<https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/work-with-conditionals.html>`_, and the class
reference of IIfConditional.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backends.tensor_rt.interpreter.errors import InterpreterError
from backends.tensor_rt.interpreter.graph import ABSENT
from backends.tensor_rt.interpreter.regions import Region
from backends.tensor_rt.interpreter.schedule import Plan, RegionStep, Step, Values


@dataclass(frozen=True)
class ConditionalStep:
    """A conditional, as a step of what lies around it."""

    name: str
    condition: int
    inputs: tuple[tuple[int, int], ...]
    """(from, to): an input layer hands on its value."""
    branches: dict[bool, tuple[Step, ...]]
    outputs: tuple[tuple[dict[bool, int], int], ...]
    """(from either branch, to)"""

    def run(self, values: Values) -> None:
        """See :class:`.schedule.Step`."""
        condition = values[self.condition]
        if condition.dtype != np.bool_ or condition.ndim != 0:
            raise InterpreterError(
                f"{self.name}: the condition is {condition.dtype} of shape {condition.shape},"
                " but should be a scalar bool"
            )
        chosen = bool(condition)
        for source, target in self.inputs:
            values[target] = values[source]
        for step in self.branches[chosen]:
            step.run(values)
        for sources, target in self.outputs:
            values[target] = values[sources[chosen]]


def conditional_step(plan: Plan, conditional: Region) -> RegionStep:
    """Make a conditional a step of ``plan``, with only those of its outputs that are needed."""
    conditions = conditional.of_kind("CONDITION")
    if len(conditions) != 1:
        raise InterpreterError(f"{conditional.name} has {len(conditions)} conditions, but should have one")
    condition = conditions[0].input(0)
    if plan.regions.is_inside(condition, conditional):
        raise InterpreterError(f"the condition of {conditional.name} should come from outside of it")
    inputs = [node for node in conditional.of_kind("CONDITIONAL_INPUT") if plan.needed.intersection(node.outputs)]
    outputs = [node for node in conditional.of_kind("CONDITIONAL_OUTPUT") if plan.needed.intersection(node.outputs)]
    for node in outputs:
        if ABSENT in (node.input(0), node.input(1)):
            raise InterpreterError(f"{node.name} should have two inputs, one of each branch")
    branches: dict[bool, tuple[Step, ...]] = {}
    needs = dict.fromkeys([condition, *(node.input(0) for node in inputs)])
    for chosen, index in ((True, 0), (False, 1)):
        inside = plan.nested(conditional)
        branches[chosen] = tuple(inside.steps_to([node.input(index) for node in outputs]))
        needs |= inside.outer
    step = ConditionalStep(
        conditional.name,
        condition,
        tuple((node.input(0), node.outputs[0]) for node in inputs),
        branches,
        tuple(({True: node.input(0), False: node.input(1)}, node.outputs[0]) for node in outputs),
    )
    return RegionStep(step, tuple(needs), tuple(node.outputs[0] for node in outputs))
