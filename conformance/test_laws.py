"""Laws: what holds of a recurrent layer whatever the right answer is.

Each law runs a backend twice, on two cases that have to give the same result up to rounding (or to the bit, where the
arithmetic is the same), so a failure is evidence that needs no reference.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conformance.search import Judged, for_every_case
from conformance.tolerance import Mismatch, Verdict, judge_alike, truth_of
from reference import Array, Case, Cell, Direction, Result, Weights
from reference.case_file import arrays_of_case


def alike(backend: Judged, case: Case, other: Result, exactly: bool = False) -> Verdict:
    """The verdict on ``other`` being what the backend returns for ``case``."""
    return judge_alike(truth_of(case, backend.capabilities), backend.run(case), other, exactly)


@for_every_case(needs=("lengths",), lengths=True, zero_length=False)
def test_a_padded_row_equals_the_row_alone(backend: Judged, case: Case) -> Verdict:
    """A row within a padded batch gives what it gives alone, without padding."""
    return alike(backend, case, each_row_alone(backend, case))


@for_every_case(lengths=False, min_batch=2)
def test_a_batch_equals_its_rows_one_by_one(backend: Judged, case: Case) -> Verdict:
    """A batch gives what its rows give one by one."""
    return alike(backend, case, each_row_alone(backend, case))


@for_every_case(needs=("lengths",), lengths=True, min_steps=2)
def test_what_stands_in_the_padding_changes_no_bit(backend: Judged, case: Case) -> Verdict:
    """NaN, infinity and huge numbers in the padding change no bit of any output."""
    garbage = np.resize(np.array([np.nan, np.inf, -np.inf, float(np.finfo(np.float16).max)]), case.x.shape)
    x = np.where(case.valid[:, :, None], case.x, garbage.astype(case.dtype))
    return alike(backend, case, backend.run(replace(case, x=x)), exactly=True)


@for_every_case(min_batch=2)
def test_permuting_the_batch_permutes_the_result(backend: Judged, case: Case) -> Verdict:
    """The rows of a batch do not know each other, nor their place in it."""
    order = np.roll(np.arange(case.batch_size)[::-1], 1)
    back = np.argsort(order)
    permuted = backend.run(
        replace(
            case,
            x=case.x[order],
            h_0=None if case.h_0 is None else case.h_0[:, order],
            c_0=None if case.c_0 is None else case.c_0[:, order],
            lengths=None if case.lengths is None else np.asarray(case.lengths)[order],
        )
    )
    return alike(backend, case, Result(permuted.y[back], *(state[:, back] for state in _states(permuted))))


@for_every_case(lengths=False, states=True, min_steps=2, direction=Direction.FORWARD)
def test_a_sequence_may_be_run_in_two_parts(backend: Judged, case: Case) -> Verdict:
    """Running k steps, and the others from the state carried over, equals running all of them."""
    k = (case.num_steps + 1) // 2
    first = backend.run(replace(case, x=case.x[:, :k]))
    second = backend.run(replace(case, x=case.x[:, k:], h_0=first.h_n, c_0=first.c_n))
    return alike(backend, case, replace(second, y=np.concatenate([first.y, second.y], axis=1)))


@for_every_case(needs=(Direction.FORWARD,), direction=Direction.REVERSE, min_steps=2)
def test_reverse_equals_forward_on_the_reversed_sequence(backend: Judged, case: Case) -> Verdict:
    """The reverse direction is the forward one with the valid steps of every row in reverse order."""
    forward = backend.run(replace(reversed_in_time(case), layer=replace(case.layer, direction=Direction.FORWARD)))
    return alike(backend, case, replace(forward, y=reverse_valid_steps(forward.y, case)))


@for_every_case(needs=(Direction.FORWARD,), direction=Direction.BIDIRECTIONAL, num_layers=1)
def test_bidirectional_equals_its_two_directions(backend: Judged, case: Case) -> Verdict:
    """A bidirectional layer is a forward one, and a forward one on the reversed sequence, side by side."""
    halves = []
    for d, part in enumerate((case, reversed_in_time(case))):
        halves.append(
            backend.run(
                replace(
                    part,
                    layer=replace(case.layer, direction=Direction.FORWARD),
                    weights=(case.weights[d],),
                    h_0=None if case.h_0 is None else case.h_0[d : d + 1],
                    c_0=None if case.c_0 is None else case.c_0[d : d + 1],
                )
            )
        )
    forward, backward = halves
    y = np.concatenate([forward.y, reverse_valid_steps(backward.y, case)], axis=2)
    states = (np.concatenate(pair) for pair in zip(_states(forward), _states(backward)))
    return alike(backend, case, Result(y, *states))


@for_every_case(needs=("linear",), num_layers=2)
def test_a_stack_equals_its_layers_one_after_the_other(backend: Judged, case: Case) -> Verdict:
    """Each layer of a stack reads what the one below it returns."""
    layer, directions = case.layer, case.layer.num_directions
    x, states = case.x, []
    for number in range(layer.num_layers):
        slots = slice(number * directions, (number + 1) * directions)
        single = replace(layer, num_layers=1, input_size=layer.input_size_of(number))
        result = backend.run(
            replace(
                case,
                layer=single if number == 0 else replace(single, input_mode="linear"),
                weights=case.weights[slots],
                x=x,
                h_0=None if case.h_0 is None else case.h_0[slots],
                c_0=None if case.c_0 is None else case.c_0[slots],
            )
        )
        x = result.y
        states.append(_states(result))
    return alike(backend, case, Result(x, *(np.concatenate(parts) for parts in zip(*states))))


@for_every_case()
def test_permuting_the_hidden_units_permutes_the_result(backend: Judged, case: Case) -> Verdict:
    """The units of a layer have no order."""
    layer = case.layer
    order = np.roll(np.arange(layer.hidden_size)[::-1], 1)
    back = np.argsort(order)
    # What a later layer reads: the units of each direction, permuted within their half.
    inputs = np.concatenate([d * layer.hidden_size + order for d in range(layer.num_directions)])

    def weights_of(k: int, w: Weights) -> Weights:
        columns = slice(None) if k < layer.num_directions else inputs
        w_ih = None if w.w_ih is None else w.w_ih[:, order][:, :, columns]
        return Weights(w_ih, w.w_hh[:, order][:, :, order], w.b_ih[:, order], w.b_hh[:, order])

    permuted = backend.run(
        replace(
            case,
            weights=tuple(weights_of(k, w) for k, w in enumerate(case.weights)),
            x=case.x[:, :, order] if layer.input_mode == "skip" else case.x,
            h_0=None if case.h_0 is None else case.h_0[:, :, order],
            c_0=None if case.c_0 is None else case.c_0[:, :, order],
        )
    )
    columns = np.argsort(inputs)
    return alike(backend, case, Result(permuted.y[:, :, columns], *(state[:, :, back] for state in _states(permuted))))


@for_every_case(input_mode="linear")
def test_permuting_the_input_features_changes_nothing(backend: Judged, case: Case) -> Verdict:
    """The features of the input have no order, as long as w_ih has the same."""
    order = np.roll(np.arange(case.layer.input_size)[::-1], 1)

    def weights_of(k: int, w: Weights) -> Weights:
        return w if k >= case.layer.num_directions or w.w_ih is None else replace(w, w_ih=w.w_ih[:, :, order])

    weights = tuple(weights_of(k, w) for k, w in enumerate(case.weights))
    return alike(backend, case, backend.run(replace(case, x=case.x[:, :, order], weights=weights)))


@for_every_case()
def test_zero_initial_states_equal_none(backend: Judged, case: Case) -> Verdict:
    """Leaving out the initial states means zeros."""
    layer = case.layer
    zeros = np.zeros((layer.num_layers * layer.num_directions, case.batch_size, layer.hidden_size), case.dtype)
    given = replace(case, h_0=zeros, c_0=zeros.copy() if layer.cell is Cell.LSTM else None)
    return alike(backend, given, backend.run(replace(case, h_0=None, c_0=None)))


@for_every_case()
def test_inputs_and_states_are_not_modified(backend: Judged, case: Case) -> Verdict:
    """A run leaves every array of its case as it was."""
    before = {name: array.copy() for name, array in arrays_of_case(case).items()}
    backend.run_in_place(case)
    changed = [name for name, array in arrays_of_case(case).items() if not np.array_equal(array, before[name])]
    elements = sum(array.size for array in before.values())
    return Verdict(tuple(Mismatch("law", f"{name} was modified by the run") for name in changed), elements)


@for_every_case()
def test_two_calls_give_equal_bits(backend: Judged, case: Case) -> Verdict:
    """A second call with the same case gives the same bits, whatever ran in between."""
    first = backend.run(case)
    backend.run(replace(case, x=-case.x))
    return alike(backend, case, first, exactly=True)


@for_every_case()
def test_a_result_outlives_the_next_call(backend: Judged, case: Case) -> Verdict:
    """What a call has returned stays as it is when the next call returns."""
    first = backend.run(case)
    kept = Result(*(array.copy() for _, array in first.items()))
    backend.run(replace(case, x=-case.x))
    return judge_alike(truth_of(case, backend.capabilities), first, kept, exactly=True)


@for_every_case()
def test_arrays_are_read_in_every_call(backend: Judged, case: Case) -> Verdict:
    """Where the numbers in an array have changed from one call to the next, as in training, the new ones count."""
    held = case.map(np.negative)
    backend.run_in_place(held)
    for name, array in arrays_of_case(held).items():
        array[...] = arrays_of_case(case)[name]
    return alike(backend, case, backend.run_in_place(held))


@for_every_case()
def test_one_array_may_be_given_several_times(backend: Judged, case: Case) -> Verdict:
    """One array for both states, for both biases, or for several layers and directions is as good as copies of it."""
    first: dict[tuple[int, ...], Array] = {}

    def shared(w: Weights) -> Weights:
        w_ih = None if w.w_ih is None else first.setdefault(w.w_ih.shape, w.w_ih)
        return Weights(w_ih, first.setdefault(w.w_hh.shape, w.w_hh), w.b_ih, w.b_ih)

    one = replace(case, weights=tuple(map(shared, case.weights)), c_0=None if case.c_0 is None else case.h_0)
    return alike(backend, one, backend.run_in_place(one))


@for_every_case()
def test_strided_views_give_the_same_as_copies(backend: Judged, case: Case) -> Verdict:
    """Arrays that are not contiguous are read as they are."""
    # In place, because a copy of a view is not the view.
    return alike(backend, case, backend.run_in_place(case.map(as_strided_view)))


@for_every_case()
def test_views_that_run_backwards_give_the_same_as_copies(backend: Judged, case: Case) -> Verdict:
    """Arrays that lie in memory from the end to the beginning are read as they are."""
    return alike(backend, case, backend.run_in_place(case.map(lambda array: np.flip(np.flip(array).copy()))))


@for_every_case()
def test_read_only_slices_give_the_same_as_copies(backend: Judged, case: Case) -> Verdict:
    """Parts of larger arrays that may only be read, as of a file in memory, are read as they are."""
    axis = case.num_steps + case.batch_size  # any, and another one in another case
    return alike(backend, case, backend.run_in_place(case.map(lambda array: as_read_only_slice(array, axis))))


def as_read_only_slice(array: Array, axis: int) -> Array:
    """The same content as a part of an array that is larger along one axis and has NaN there; ``axis`` may be any."""
    axis %= array.ndim
    larger = np.full([size + 2 * (number == axis) for number, size in enumerate(array.shape)], np.nan, array.dtype)
    part = larger[tuple(slice(1, -1) if number == axis else slice(None) for number in range(array.ndim))]
    part[...] = array
    part.flags.writeable = False
    return part


def as_strided_view(array: Array) -> Array:
    """The same content as a view whose axes lie in memory in reverse order, with gaps between the elements."""
    roomy: Array = np.full((*array.shape[::-1], 2), np.nan, array.dtype)
    roomy[..., 0] = array.transpose()
    return roomy[..., 0].transpose()


def each_row_alone(backend: Judged, case: Case) -> Result:
    """What the rows of a case give one by one, each cut to its length."""
    lengths = np.full(case.batch_size, case.num_steps) if case.lengths is None else np.asarray(case.lengths)
    results = [
        backend.run(
            replace(
                case,
                x=case.x[b : b + 1, :n],
                h_0=None if case.h_0 is None else case.h_0[:, b : b + 1],
                c_0=None if case.c_0 is None else case.c_0[:, b : b + 1],
                lengths=None,
            )
        )
        for b, n in enumerate(lengths)
    ]
    padded = [np.pad(result.y, ((0, 0), (0, case.num_steps - result.y.shape[1]), (0, 0))) for result in results]
    states = (np.concatenate(parts, axis=1) for parts in zip(*map(_states, results)))
    return Result(np.concatenate(padded), *states)


def reversed_in_time(case: Case) -> Case:
    """The case with the valid steps of every row in reverse order."""
    return replace(case, x=reverse_valid_steps(case.x, case))


def reverse_valid_steps(sequence: Array, case: Case) -> Array:
    """(B, T, N) with the valid steps of every row in reverse order, and its padding where it was."""
    result = sequence.copy()
    for row, valid in enumerate(case.valid):
        result[row, valid] = sequence[row, valid][::-1]
    return result


def _states(result: Result) -> list[Array]:
    return [state for state in (result.h_n, result.c_n) if state is not None]
