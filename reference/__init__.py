"""The definition of RNN, LSTM and GRU layers in plain numpy.

>>> import numpy as np
>>> layer = Layer(cell=Cell.RNN, input_size=7, hidden_size=5, activation="relu")
>>> ones = Weights(np.ones((1, 5, 7)), np.ones((1, 5, 5)), np.zeros((1, 5)), np.zeros((1, 5)))
>>> run(Case(layer, (ones,), np.ones((3, 4, 7)), h_0=np.ones((1, 3, 5)))).h_n[0, 0]
array([1717., 1717., 1717., 1717., 1717.])
"""

from reference.case import GATES, Array, Case, Cell, Direction, Layer, Result, Weights
from reference.layer import run

__all__ = ["GATES", "Array", "Case", "Cell", "Direction", "Layer", "Result", "Weights", "run"]
