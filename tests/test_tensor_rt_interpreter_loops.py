"""Loops and conditionals against loops and conditionals written in Python, and their rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.tensor_rt.interpreter import InterpreterError, Program
from reference import Array
from tests.small_network import SmallNetwork, same_values, trt

examples = settings(max_examples=25, deadline=None)

SUM, PROD, LESS = (getattr(trt.ElementWiseOperation, name) for name in ("SUM", "PROD", "LESS"))
COUNT, WHILE = trt.TripLimit.COUNT, trt.TripLimit.WHILE
LAST_VALUE, CONCATENATE, REVERSE = (getattr(trt.LoopOutput, name) for name in ("LAST_VALUE", "CONCATENATE", "REVERSE"))
NONE = trt.MatrixOperation.NONE


class LoopNetwork(SmallNetwork):
    """A small network with a few words for loops."""

    def add(self, a: Any, b: Any, operation: Any = SUM) -> Any:
        return self.definition.add_elementwise(a, b, operation).get_output(0)

    def identity(self, a: Any) -> Any:
        return self.definition.add_identity(a).get_output(0)

    def loop(self, count: Any = None, condition: Any = None) -> Any:
        loop = self.definition.add_loop()
        loop.name = "the loop"
        if count is not None:
            loop.add_trip_limit(self.constant(count, np.int32) if isinstance(count, int) else count, COUNT)
        if condition is not None:
            loop.add_trip_limit(condition, WHILE)
        return loop

    def recurrence(self, loop: Any, initial: Any) -> Any:
        layer = loop.add_recurrence(initial)
        layer.name = "the recurrence"
        return layer

    def output(self, loop: Any, tensor: Any, kind: Any = LAST_VALUE, axis: int = 0, length: Any = None) -> Any:
        layer = loop.add_loop_output(tensor, kind, axis)
        layer.name = "the output"
        if length is not None:
            layer.set_input(1, self.constant(length, np.int32) if isinstance(length, int) else length)
        return layer.get_output(0)


def numbers(*shape: int) -> Array:
    """Different whole numbers."""
    return np.arange(1, 1 + np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)


def relu_rnn(network: LoopNetwork, x: Any, steps: Any) -> tuple[Any, Any]:
    """The loop document's ReLU network over axis 1 of x, (3, T, 7): the last and all hidden states, (3, T, 5)."""
    w_x, w_h = network.constant(np.ones((7, 5), np.float32)), network.constant(np.ones((5, 5), np.float32))
    loop = network.loop(steps)
    x_t = loop.add_iterator(x, 1, False).get_output(0)
    state = loop.add_recurrence(network.constant(np.ones((3, 5), np.float32)))
    from_x = network.definition.add_matrix_multiply(x_t, NONE, w_x, NONE).get_output(0)
    from_h = network.definition.add_matrix_multiply(state.get_output(0), NONE, w_h, NONE).get_output(0)
    h = network.definition.add_activation(network.add(from_x, from_h), trt.ActivationType.RELU).get_output(0)
    state.set_input(1, h)
    return network.output(loop, state.get_output(0)), network.output(loop, h, CONCATENATE, 1, steps)


def length_of_axis_1(network: LoopNetwork, x: Any) -> Any:
    """The size of axis 1 as a scalar, as the loop document takes it."""
    sizes = network.definition.add_shape(x).get_output(0)
    scalar = network.definition.add_shuffle(network.definition.add_slice(sizes, (1,), (1,), (1,)).get_output(0))
    scalar.reshape_dims = ()
    return scalar.get_output(0)


def test_the_relu_network_of_the_loop_document_gives_12_67_342_1717() -> None:
    """As it is printed there, with the sizes in the network."""
    network = LoopNetwork()
    x = network.input(np.ones((3, 4, 7), np.float32))
    network.mark(*relu_rnn(network, x, network.constant(4, np.int32)))
    last, every = network.run()
    same_values(last, np.full((3, 5), 1717, np.float32))
    same_values(every, np.broadcast_to(np.array([12, 67, 342, 1717], np.float32)[None, :, None], (3, 4, 5)))


def test_the_same_network_takes_any_number_of_steps_where_it_is_dynamic() -> None:
    """One program for all; without a step, the last value is the initial one and there is nothing to concatenate."""
    network = LoopNetwork()
    x = network.input(np.ones((3, 4, 7), np.float32), (3, -1, 7))
    network.mark(*relu_rnn(network, x, length_of_axis_1(network, x)))
    program = Program(network.definition)
    for steps in (4, 0, 2):
        outputs = program.run({"in0": np.ones((3, steps, 7), np.float32)})
        states = [1, 12, 67, 342, 1717][: steps + 1]
        same_values(outputs["out0"], np.full((3, 5), states[-1], np.float32))
        expected = np.array(states[1:], np.float32)[None, :, None]
        same_values(outputs["out1"], np.broadcast_to(expected, (3, steps, 5)))


@given(data=st.data(), axis=st.integers(0, 2), size=st.integers(1, 5))
@examples
def test_an_iterator_reads_one_index_after_the_other(data: Any, axis: int, size: int) -> None:
    """Along any axis, as far as the trip count goes."""
    trips = data.draw(st.integers(1, size))
    x = np.moveaxis(numbers(size, 2, 3), 0, axis).copy()
    network = LoopNetwork()
    loop = network.loop(trips)
    x_i = network.identity(loop.add_iterator(network.input(x), axis, False).get_output(0))
    network.mark(network.output(loop, x_i, CONCATENATE, 0, trips))
    same_values(network.run(), np.moveaxis(x, axis, 0)[:trips])


@given(data=st.data(), axis=st.integers(0, 2), size=st.integers(1, 5))
@examples
def test_a_reverse_iterator_starts_at_the_trip_count(data: Any, axis: int, size: int) -> None:
    """It reads M-1-i for a trip count of M, not from the end of an axis that is longer."""
    trips = data.draw(st.integers(1, size))
    x = np.moveaxis(numbers(size, 2, 3), 0, axis).copy()
    network = LoopNetwork()
    loop = network.loop(trips)
    x_i = network.identity(loop.add_iterator(network.input(x), axis, True).get_output(0))
    network.mark(network.output(loop, x_i, CONCATENATE, 0, trips))
    same_values(network.run(), np.moveaxis(x, axis, 0)[:trips][::-1])


@given(trips=st.integers(1, 4), axis=st.integers(0, 2))
@examples
def test_a_reverse_output_ends_with_the_first_iteration(trips: int, axis: int) -> None:
    """Iteration i stands at n-1-i, on a new axis in any place."""
    x = numbers(trips, 2, 3)
    network = LoopNetwork()
    loop = network.loop(trips)
    x_i = network.identity(loop.add_iterator(network.input(x)).get_output(0))
    network.mark(network.output(loop, x_i, REVERSE, axis, trips), network.output(loop, x_i, CONCATENATE, axis, trips))
    backwards, forwards = network.run()
    same_values(backwards, np.moveaxis(x[::-1], 0, axis))
    same_values(forwards, np.moveaxis(x, 0, axis))


@pytest.mark.parametrize("kind", [CONCATENATE, REVERSE], ids=["CONCATENATE", "REVERSE"])
def test_what_no_iteration_fills_is_no_number(kind: Any) -> None:
    """A concatenation longer than the trip count is padded at its end, with what cannot be taken for a result."""
    network = LoopNetwork()
    loop = network.loop(2)
    x_i = loop.add_iterator(network.input(numbers(4, 1)), 0, False).get_output(0)
    whole = network.definition.add_cast(x_i, trt.int32).get_output(0)
    network.mark(network.output(loop, network.identity(x_i), kind, 0, 3), network.output(loop, whole, kind, 0, 3))
    got, integers = network.run()
    first = [[1], [2]] if kind == CONCATENATE else [[2], [1]]
    np.testing.assert_array_equal(got, np.array([*first, [np.nan]], np.float32))
    assert integers.tolist() == [*first, [np.iinfo(np.int32).min]]


@given(trips=st.integers(0, 5))
@examples
def test_all_recurrences_advance_at_once(trips: int) -> None:
    """Two that take each other's value exchange them; one that fed the other would lose one."""
    network = LoopNetwork()
    loop = network.loop(network.input(np.array(trips, np.int32)))
    a, b = (loop.add_recurrence(network.input(np.array([value], np.float32))) for value in (1, 2))
    a.set_input(1, b.get_output(0))
    b.set_input(1, a.get_output(0))
    network.mark(network.output(loop, a.get_output(0)), network.output(loop, b.get_output(0)))
    got = [float(value[0]) for value in network.run()]
    assert got == ([1, 2] if trips % 2 == 0 else [2, 1])


def test_a_last_value_is_the_state_after_the_last_iteration() -> None:
    """While a concatenation of the recurrence itself holds the states before."""
    network = LoopNetwork()
    loop = network.loop(3)
    state = loop.add_recurrence(network.constant([0], np.float32))
    new = network.add(state.get_output(0), network.constant([1], np.float32))
    state.set_input(1, new)
    before = network.output(loop, state.get_output(0), CONCATENATE, 0, 3)
    after = network.output(loop, new, CONCATENATE, 0, 3)
    network.mark(network.output(loop, state.get_output(0)), before, after)
    last, states_before, states_after = network.run()
    assert last.tolist() == [3]
    assert states_before.tolist() == [[0], [1], [2]]
    assert states_after.tolist() == [[1], [2], [3]]


def test_the_next_value_of_a_recurrence_may_come_from_outside() -> None:
    """It is then the same in every iteration."""
    network = LoopNetwork()
    loop = network.loop(network.input(np.array(2, np.int32)))
    state = loop.add_recurrence(network.constant([0], np.float32))
    state.set_input(1, network.constant([7], np.float32))
    network.mark(
        network.output(loop, state.get_output(0)), network.output(loop, state.get_output(0), CONCATENATE, 0, 2)
    )
    last, before = network.run()
    assert last.tolist() == [7]
    assert before.tolist() == [[0], [7]]


def test_a_concatenation_repeats_what_comes_from_outside() -> None:
    """A tensor that does not change in the loop is the same in every iteration of it."""
    network = LoopNetwork()
    loop = network.loop(3)
    network.mark(network.output(loop, network.input(numbers(2)), CONCATENATE, 1, 3))
    same_values(network.run(), np.repeat(numbers(2)[:, None], 3, 1))


def doubling(network: LoopNetwork, below: float, count: Any = None) -> Any:
    """A state that doubles as long as it is below a number."""
    loop = network.loop(count)
    state = loop.add_recurrence(network.input(np.array(1, np.float32)))
    new = network.add(state.get_output(0), state.get_output(0))
    state.set_input(1, new)
    loop.add_trip_limit(network.add(state.get_output(0), network.constant(below, np.float32), LESS), WHILE)
    return loop, state.get_output(0)


@pytest.mark.parametrize(("below", "expected"), [(100, 128), (64, 64), (1, 1)])
def test_a_while_loop_ends_when_its_condition_is_false(below: float, expected: float) -> None:
    """It is asked before every iteration, the first one too."""
    network = LoopNetwork()
    loop, state = doubling(network, below)
    network.mark(network.output(loop, state))
    assert network.run() == expected


@pytest.mark.parametrize(("count", "expected"), [(3, 8), (20, 128), (0, 1)])
def test_a_loop_with_both_limits_ends_with_the_first(count: int, expected: float) -> None:
    """The count, or the condition."""
    network = LoopNetwork()
    loop, state = doubling(network, 100, network.input(np.array(count, np.int32)))
    network.mark(network.output(loop, state))
    assert network.run() == expected


def test_what_a_while_loop_has_made_is_as_long_as_its_trips() -> None:
    """And reversed within them: the length may be more."""
    network = LoopNetwork()
    loop, state = doubling(network, 8)
    same = network.identity(state)
    network.mark(network.output(loop, same, CONCATENATE, 0, 4), network.output(loop, same, REVERSE, 0, 4))
    forwards, backwards = network.run()
    np.testing.assert_array_equal(forwards, [1, 2, 4, np.nan])
    np.testing.assert_array_equal(backwards, [4, 2, 1, np.nan])


@given(rows=st.integers(1, 3), columns=st.integers(0, 3))
@examples
def test_a_loop_may_lie_inside_of_another(rows: int, columns: int) -> None:
    """Sums of rows, and from them the sum of all; the state of the outer loop enters the inner one."""
    x = numbers(rows, columns)
    network = LoopNetwork()
    outer = network.loop(network.input(np.array(rows, np.int32)))
    row = outer.add_iterator(network.input(x, (-1, -1)), 0, False).get_output(0)
    total = outer.add_recurrence(network.constant(0, np.float32))
    inner = network.loop(network.input(np.array(columns, np.int32)))
    element = inner.add_iterator(row, 0, False).get_output(0)
    partial = inner.add_recurrence(total.get_output(0))
    partial.set_input(1, network.add(partial.get_output(0), element))
    after_row = network.output(inner, partial.get_output(0))
    total.set_input(1, after_row)
    network.mark(
        network.output(outer, total.get_output(0)),
        network.output(outer, after_row, CONCATENATE, 0, network.constant(rows, np.int32)),
    )
    everything, running = network.run()
    assert everything == x.sum()
    same_values(running, x.sum(1).cumsum(dtype=np.float32))


def test_an_inner_loop_of_which_only_the_body_depends_on_the_outer_lies_inside() -> None:
    """Its count, its iterator and its states come from outside of both."""
    network = LoopNetwork()
    x, y = network.input(numbers(3)), network.input(numbers(2))
    outer = network.loop(3)
    x_i = outer.add_iterator(x, 0, False).get_output(0)
    inner = network.loop(2)
    product = network.add(inner.add_iterator(y, 0, False).get_output(0), x_i, PROD)
    row = network.output(inner, product, CONCATENATE, 0, 2)
    network.mark(network.output(outer, row, CONCATENATE, 0, 3))
    same_values(network.run(), np.outer(numbers(3), numbers(2)))


def test_an_inner_loop_of_which_only_the_count_depends_on_the_outer_lies_inside() -> None:
    """Its state starts anew each time, and counts its trips."""
    network = LoopNetwork()
    trips = np.array([3, 0, 2], np.int32)
    outer = network.loop(3)
    inner = network.loop(outer.add_iterator(network.input(trips), 0, False).get_output(0))
    state, _ = counter(network, inner)
    network.mark(network.output(outer, network.output(inner, state), CONCATENATE, 0, 3))
    same_values(network.run(), trips[:, None].astype(np.float32))


def test_an_assertion_inside_of_a_loop_is_asked_in_every_iteration() -> None:
    """The message says in which it did not hold."""
    network = LoopNetwork()
    loop = network.loop(3)
    state, _ = counter(network, loop)
    below = network.add(state, network.constant([2], np.float32), LESS)
    network.definition.add_assertion(below, "below two")
    network.mark(network.output(loop, state))
    with pytest.raises(InterpreterError, match="loop 'the loop', iteration 2: .* does not hold: below two"):
        network.run()


def test_one_loop_may_read_what_another_has_made() -> None:
    """One after the other: forwards, then backwards over the result, as stacked layers do."""
    network = LoopNetwork()
    first, second = network.loop(3), network.loop(3)
    forwards = network.identity(first.add_iterator(network.input(numbers(3)), 0, False).get_output(0))
    sequence = network.output(first, forwards, REVERSE, 0, 3)
    backwards = network.identity(second.add_iterator(sequence, 0, True).get_output(0))
    network.mark(network.output(second, backwards, CONCATENATE, 0, 3))
    same_values(network.run(), numbers(3))


def test_what_does_not_depend_on_the_loop_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it is used in every iteration."""
    from backends.tensor_rt.interpreter.layers import LAYERS

    calls = []
    make = LAYERS["UNARY"]

    def counting(layer: Any) -> Callable[..., Any]:
        function = make(layer)

        def evaluate(x: Array) -> Any:
            calls.append(x)
            return function(x)

        return evaluate

    monkeypatch.setitem(LAYERS, "UNARY", counting)
    network = LoopNetwork()
    loop = network.loop(3)
    state = loop.add_recurrence(network.constant([0], np.float32))
    step = network.definition.add_unary(network.input(numbers(1)), trt.UnaryOperation.NEG).get_output(0)
    state.set_input(1, network.add(state.get_output(0), step))
    network.mark(network.output(loop, state.get_output(0)))
    assert network.run().tolist() == [-3]
    assert len(calls) == 1


def test_a_program_remembers_nothing_between_its_runs() -> None:
    """And does not need the network any more."""
    network = LoopNetwork()
    x = network.input(np.ones((3, 4, 7), np.float32))
    network.mark(*relu_rnn(network, x, network.constant(4, np.int32)))
    program = Program(network.definition)
    inputs = dict(network.given)
    del network, x
    for output, again in zip(program.run(inputs).values(), program.run(inputs).values()):
        same_values(output, again)


# Conditionals


@pytest.mark.parametrize("condition", [True, False])
def test_a_conditional_evaluates_the_branch_that_is_chosen(condition: bool) -> None:
    """And not the other one, which would be an error here."""
    network = LoopNetwork()
    x = network.input(numbers(4), (-1,))
    choice = network.definition.add_if_conditional()
    choice.set_condition(network.input(np.array(condition)))
    inside = choice.add_input(x).get_output(0)
    good = network.definition.add_slice(inside, (1,), (2,), (1,)).get_output(0)
    bad = network.definition.add_slice(inside, (9,), (2,), (1,)).get_output(0)
    branches = (good, bad) if condition else (bad, good)
    network.mark(choice.add_output(*branches).get_output(0))
    same_values(network.run(), np.array([2, 3], np.float32))


def test_a_conditional_may_hold_a_loop_and_lie_in_one() -> None:
    """In an outer loop, every second row is summed by an inner one, and the others count nothing."""
    x = numbers(4, 3)
    network = LoopNetwork()
    outer = network.loop(4)
    row = outer.add_iterator(network.input(x), 0, False).get_output(0)
    wanted = outer.add_iterator(network.input(np.array([True, False, True, False])), 0, False).get_output(0)
    choice = network.definition.add_if_conditional()
    choice.set_condition(wanted)
    inside = choice.add_input(row).get_output(0)
    inner = network.loop(3)
    partial = inner.add_recurrence(network.constant(0, np.float32))
    element = inner.add_iterator(inside, 0, False).get_output(0)
    partial.set_input(1, network.add(partial.get_output(0), element))
    total = network.output(inner, partial.get_output(0))
    result = choice.add_output(total, network.constant(0, np.float32)).get_output(0)
    network.mark(network.output(outer, result, CONCATENATE, 0, 4))
    same_values(network.run(), np.array([6, 0, 24, 0], np.float32))


# Rules


def counter(network: LoopNetwork, loop: Any) -> tuple[Any, Any]:
    """A recurrence of shape (1,) that counts the iterations, and its value after one."""
    state = network.recurrence(loop, network.constant([0], np.float32))
    new = network.add(state.get_output(0), network.constant([1], np.float32))
    state.set_input(1, new)
    return state.get_output(0), new


def without_limit(network: LoopNetwork) -> Any:
    loop = network.loop()
    return network.output(loop, counter(network, loop)[0])


def with_two_counts(network: LoopNetwork) -> Any:
    loop = network.loop(3)
    loop.add_trip_limit(network.constant(4, np.int32), COUNT)
    return network.output(loop, counter(network, loop)[0])


def with_the_count(value: Any, dtype: Any) -> Callable[[LoopNetwork], Any]:
    def make(network: LoopNetwork) -> Any:
        loop = network.loop(network.input(np.array(value, dtype)))
        return network.output(loop, counter(network, loop)[0])

    return make


def with_a_count_from_inside(network: LoopNetwork) -> Any:
    loop = network.loop()
    count = network.recurrence(loop, network.constant(3, np.int32))
    count.set_input(1, count.get_output(0))
    loop.add_trip_limit(network.identity(count.get_output(0)), COUNT)
    return network.output(loop, count.get_output(0))


def with_a_condition_of_one_dimension(network: LoopNetwork) -> Any:
    loop = network.loop()
    state, _ = counter(network, loop)
    loop.add_trip_limit(network.add(state, network.constant([3], np.float32), LESS), WHILE)
    return network.output(loop, state)


def with_a_condition_on_an_iterator(network: LoopNetwork) -> Any:
    loop = network.loop()
    element = loop.add_iterator(network.input(numbers(3)), 0, False).get_output(0)
    loop.add_trip_limit(network.add(element, network.constant(2, np.float32), LESS), WHILE)
    return network.output(loop, counter(network, loop)[0])


def with_a_condition_that_never_changes(network: LoopNetwork) -> Any:
    loop = network.loop(condition=network.input(np.array(True)))
    return network.output(loop, counter(network, loop)[0])


def with_elements_of_several_shapes(network: LoopNetwork) -> Any:
    loop = network.loop(2)
    size = loop.add_iterator(network.input(np.array([[1], [2]], np.int32)), 0, False).get_output(0)
    layer = network.definition.add_slice(network.input(numbers(3)), (0,), (1,), (1,))
    layer.set_input(2, size)
    return network.output(loop, layer.get_output(0), CONCATENATE, 0, 2)


def without_second_input(network: LoopNetwork) -> Any:
    loop = network.loop(3)
    return network.output(loop, network.recurrence(loop, network.constant([0], np.float32)).get_output(0))


def with_another_shape(network: LoopNetwork) -> Any:
    loop = network.loop(3)
    state = network.recurrence(loop, network.constant([[0]], np.float32))
    state.set_input(1, network.add(state.get_output(0), network.constant([[1, 2]], np.float32)))
    return network.output(loop, state.get_output(0))


def with_another_type(network: LoopNetwork) -> Any:
    loop = network.loop(3)
    state = network.recurrence(loop, network.constant([0], np.float32))
    state.set_input(1, network.definition.add_cast(state.get_output(0), trt.float16).get_output(0))
    return network.output(loop, state.get_output(0))


def with_an_initial_value_from_inside(network: LoopNetwork) -> Any:
    loop = network.loop(3)
    _, new = counter(network, loop)
    state = network.recurrence(loop, new)
    state.set_input(1, state.get_output(0))
    return network.output(loop, state.get_output(0))


def with_an_iterator_over_the_inside(network: LoopNetwork) -> Any:
    loop = network.loop(3)
    iterator = loop.add_iterator(counter(network, loop)[1], 0, False)
    iterator.name = "the iterator"
    return network.output(loop, network.identity(iterator.get_output(0)), CONCATENATE, 0, 3)


def with_the_last_value_of_no_recurrence(network: LoopNetwork) -> Any:
    loop = network.loop(3)
    return network.output(loop, counter(network, loop)[1])


def with_the_last_value_of_another_loop(network: LoopNetwork) -> Any:
    loop, other = network.loop(3), network.loop(3)
    return network.output(other, counter(network, loop)[0])


def without_length(network: LoopNetwork) -> Any:
    loop = network.loop(3)
    return network.output(loop, counter(network, loop)[1], CONCATENATE)


def with_the_length(value: int) -> Callable[[LoopNetwork], Any]:
    def make(network: LoopNetwork) -> Any:
        loop = network.loop(3)
        return network.output(loop, counter(network, loop)[1], CONCATENATE, 0, network.input(np.array(value, np.int32)))

    return make


def with_a_length_from_inside(network: LoopNetwork) -> Any:
    loop = network.loop(3)
    length = network.recurrence(loop, network.constant(3, np.int32))
    length.set_input(1, length.get_output(0))
    same = network.identity(length.get_output(0))
    return network.output(loop, counter(network, loop)[1], CONCATENATE, 0, same)


def with_a_way_around_the_output(network: LoopNetwork) -> Any:
    loop = network.loop(3)
    return network.identity(counter(network, loop)[1])


def with_too_short_an_axis(reverse: bool) -> Callable[[LoopNetwork], Any]:
    def make(network: LoopNetwork) -> Any:
        loop = network.loop(network.input(np.array(4, np.int32)))
        iterator = loop.add_iterator(network.input(numbers(3)), 0, reverse)
        iterator.name = "the iterator"
        return network.output(loop, network.identity(iterator.get_output(0)), CONCATENATE, 0, 4)

    return make


def with_a_reverse_iterator_without_count(network: LoopNetwork) -> Any:
    loop, state = doubling(network, 100)
    iterator = loop.add_iterator(network.input(numbers(3)), 0, True)
    iterator.name = "the iterator"
    return network.output(loop, network.add(iterator.get_output(0), state), CONCATENATE, 0, 3)


def with_loops_that_use_each_other(network: LoopNetwork) -> Any:
    first, second = network.loop(3), network.loop(3)
    a = network.recurrence(first, network.constant([0], np.float32))
    b = network.recurrence(second, a.get_output(0))
    a.set_input(1, network.add(a.get_output(0), b.get_output(0)))
    b.set_input(1, network.add(a.get_output(0), b.get_output(0)))
    return network.output(second, b.get_output(0))


def with_a_wrong_layer_inside(network: LoopNetwork) -> Any:
    loop = network.loop(3)
    _, new = counter(network, loop)
    layer = network.definition.add_slice(new, (2,), (1,), (1,))
    layer.name = "the slice"
    return network.output(loop, layer.get_output(0), CONCATENATE, 0, 3)


REFUSED: dict[str, tuple[Callable[[LoopNetwork], Any], str]] = {
    "no limit": (without_limit, "loop 'the loop' has no trip limit, but should have one of the kind COUNT or WHILE"),
    "two counts": (with_two_counts, "loop 'the loop' has two trip limits of the kind COUNT, but should have one"),
    "a count of one dimension": (
        with_the_count([3], np.int32),
        r"the COUNT limit is int32 of shape \(1,\), but should be a scalar int32 or int64",
    ),
    "a count that is no integer": (
        with_the_count(3, np.float32),
        r"the COUNT limit is float32 of shape \(\), but should be a scalar int32 or int64",
    ),
    "a negative count": (with_the_count(-1, np.int32), "the COUNT limit is -1, but should be at least 0"),
    "a count from inside": (
        with_a_count_from_inside,
        "the COUNT limit of loop 'the loop' is computed inside of loop 'the loop', but should come from outside",
    ),
    "a condition of one dimension": (
        with_a_condition_of_one_dimension,
        r"the WHILE limit is bool of shape \(1,\), but should be a scalar bool",
    ),
    "a condition on an iterator": (
        with_a_condition_on_an_iterator,
        "the WHILE limit of loop 'the loop' depends on iterator layer .*, but should depend on recurrences only",
    ),
    "a condition that never changes": (
        with_a_condition_that_never_changes,
        "loop 'the loop' never ends: its WHILE limit comes from outside and is True, but should depend on a recurrence",
    ),
    "elements of several shapes": (
        with_elements_of_several_shapes,
        r"'the output': an element has shape \(2,\), but should have shape \(1,\), like the first",
    ),
    "a recurrence without second input": (
        without_second_input,
        "recurrence layer 'the recurrence' has no second input, but should have one",
    ),
    "a recurrence of two shapes": (
        with_another_shape,
        r"recurrence layer 'the recurrence': the next value is float32 of shape \(1, 2\), but should be float32 of"
        r" shape \(1, 1\), as the initial one is",
    ),
    "a recurrence of two types": (
        with_another_type,
        "recurrence layer 'the recurrence': the next value is float16 of .*, but should be float32",
    ),
    "an initial value from inside": (
        with_an_initial_value_from_inside,
        "the initial value of recurrence layer .* is computed inside of loop 'the loop', but should come from outside",
    ),
    "an iterator over the inside": (
        with_an_iterator_over_the_inside,
        "the input of iterator layer 'the iterator' is computed inside of loop 'the loop', but should come from",
    ),
    "the last value of no recurrence": (
        with_the_last_value_of_no_recurrence,
        "loop_output layer 'the output' takes the LAST_VALUE of tensor .*, but should take that of a recurrence of"
        " loop 'the loop'",
    ),
    "the last value of another loop": (
        with_the_last_value_of_another_loop,
        "loop_output layer 'the output' takes the LAST_VALUE of tensor .*, but should take that of a recurrence of",
    ),
    "a concatenation without length": (
        without_length,
        "loop_output layer 'the output' is a CONCATENATE without length, but should have it as its second input",
    ),
    "a length below the trip count": (
        with_the_length(2),
        "loop_output layer 'the output': the length is 2, but should be at least 3, the trips made",
    ),
    "a length from inside": (
        with_a_length_from_inside,
        "the length of loop_output layer 'the output' is computed inside of loop 'the loop', but should come from",
    ),
    "a way around the loop output": (
        with_a_way_around_the_output,
        "output 'out0' lies inside of loop 'the loop', as it depends on recurrence layer 'the recurrence', but should"
        " leave it through a loop output",
    ),
    "an axis shorter than the trip count": (
        with_too_short_an_axis(False),
        "loop 'the loop', iteration 3: iterator layer 'the iterator' reads index 3 of an axis of size 3, but the axis"
        " should be as long as the trip count",
    ),
    "an axis shorter than the trip count, in reverse": (
        with_too_short_an_axis(True),
        "loop 'the loop', iteration 0: iterator layer 'the iterator' reads index 3 of an axis of size 3",
    ),
    "a reverse iterator without count": (
        with_a_reverse_iterator_without_count,
        "iterator layer 'the iterator' is reverse, so its loop should have a trip limit of the kind COUNT",
    ),
    "loops that use each other": (
        with_loops_that_use_each_other,
        "use each other's tensors, but one should lie inside",
    ),
    "a wrong layer inside": (
        with_a_wrong_layer_inside,
        "loop 'the loop', iteration 0: slice layer 'the slice': the indices 2 to 2 of dimension 0 should be in",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_breaks_a_rule_of_loops_is_refused_in_one_sentence(case: str) -> None:
    """It names the loop or the layer, says what is wrong and what would be right."""
    make, sentence = REFUSED[case]
    network = LoopNetwork()
    network.mark(make(network))
    with pytest.raises(InterpreterError, match=sentence) as caught:
        network.run()
    assert "\n" not in str(caught.value)
