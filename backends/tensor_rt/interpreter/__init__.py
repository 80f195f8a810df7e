"""An interpreter of TensorRT networks: evaluates an ``INetworkDefinition`` in numpy, without a GPU.

``evaluate(network, {"x": x})`` gives the outputs by name; ``Program(network)`` prepares a network to be run often.
The network is read through TensorRT's Python API, so it may come from anywhere: from code, or from NVIDIA's ONNX parser
(``python -m backends.tensor_rt.interpreter model.onnx``). What is not valid after the documentation is refused in one
sentence, an :class:`InterpreterError`.

From the network to the result:

===============  ===========================================================================================
graph.py         reads the layers and the tensors between them
regions.py       finds which loops and conditionals a tensor lies in
schedule.py      puts the layers in the order of their evaluation
loops.py         what a loop means, and which are valid
conditionals.py  what a conditional means
layers/          what every other kind of layer computes
dtypes.py        the types of tensors as those of numpy
program.py       all of it together: prepare a network once, run it often
onnx_model.py    a network from an ONNX model, through NVIDIA's parser
__main__.py      the command
===============  ===========================================================================================
"""

from backends.tensor_rt.interpreter.errors import InterpreterError
from backends.tensor_rt.interpreter.program import Declared, Program, evaluate

__all__ = ["Declared", "InterpreterError", "Program", "evaluate"]
