"""MindSpore, Graph mode: nn.RNN, nn.GRU, and nn.LSTM with seq_length cannot be compiled for a long sequence.

Their loop over the steps is unrolled, and each step nests deeper, until the compiler's call depth of 1000 is used up.
PyNative mode runs the same layer. The compiler leaves a folder rank_0 in the current directory.
"""

import mindspore as ms
import numpy as np

print("mindspore", ms.__version__)
x = ms.Tensor(np.ones((1, 512, 1), np.float32))
rnn = ms.nn.RNN(1, 1, batch_first=True).set_train(False)
ms.set_context(mode=ms.PYNATIVE_MODE)
print("PyNative mode: y has the shape", rnn(x)[0].shape)
ms.set_context(mode=ms.GRAPH_MODE)
try:
    print("Graph mode: y has the shape", rnn(x)[0].shape)
except RuntimeError as error:
    print("Graph mode:", str(error).strip().splitlines()[0])
else:
    raise SystemExit("mended")
