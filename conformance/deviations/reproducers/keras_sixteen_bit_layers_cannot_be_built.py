"""Keras on torch: recurrent layers of float16 or bfloat16 cannot be built on the CPU.

The default initializer is orthogonal, and torch has no QR of 16 bits. With another one they can be built.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")
import keras

print("keras", keras.__version__, "on", keras.backend.backend())
for kind in (keras.layers.SimpleRNN, keras.layers.LSTM, keras.layers.GRU):
    for dtype in ("float16", "bfloat16"):
        kind(4, dtype=dtype, recurrent_initializer="zeros").build((None, 2, 3))
        try:
            kind(4, dtype=dtype).build((None, 2, 3))
        except NotImplementedError as error:
            print(f"{kind.__name__} of {dtype}: {str(error).splitlines()[0]}")
        else:
            raise SystemExit("mended")
