"""Keras on torch: unroll=True with go_backwards=True and a mask raises.

torch.flip is called on a tuple of tensors. Bidirectional(LSTM(..., unroll=True)) with a mask, or after Masking or
Embedding(mask_zero=True), cannot be run.
Expected: what unroll=False gives.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")
import keras
import numpy as np

print("keras", keras.__version__, "on", keras.backend.backend())
x, mask = np.ones((1, 2, 1), "float32"), np.array([[True, False]])
ones = {"kernel_initializer": "ones", "recurrent_initializer": "ones"}
for kind in (keras.layers.SimpleRNN, keras.layers.LSTM, keras.layers.GRU):
    for unroll in (False, True):
        layer = kind(1, go_backwards=True, unroll=unroll, **ones)
        try:
            y = layer(x, mask=mask)
        except AttributeError as error:
            print(f"{kind.__name__}, unroll={unroll}: {type(error).__name__}, {str(error).splitlines()[2][:100]}")
        else:
            print(f"{kind.__name__}, unroll={unroll}: {keras.ops.convert_to_numpy(y).ravel()}")
            assert not unroll, "mended"
