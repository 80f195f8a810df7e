"""MindSpore, Graph mode: nn.LSTM is compiled anew for every pair of initial states, whose values become constants.

hx is documented as a tuple of two tensors. Each call with other states takes a second or more, and each graph stays in
memory. mindspore.mutable((h, c)) avoids it.
"""

import mindspore as ms
import numpy as np

print("mindspore", ms.__version__)
ms.set_context(mode=ms.GRAPH_MODE)
x = ms.Tensor(np.ones((2, 5, 4), np.float32))
graphs = {}
for name, wrap in (("a tuple", tuple), ("mutable", lambda states: ms.mutable(tuple(states)))):
    lstm = ms.nn.LSTM(4, 3, batch_first=True).set_train(False)
    for k in range(3):
        lstm(x, wrap([ms.Tensor(np.full((1, 2, 3), k, np.float32)) for _ in "hc"]))
    graphs[name] = len(lstm.compile_cache)
    print(f"3 calls with {name}: {graphs[name]} graphs, but should be 1")
assert graphs["a tuple"] == 3, "mended"
