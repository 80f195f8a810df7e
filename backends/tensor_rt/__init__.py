"""TensorRT: recurrent layers as loop networks, checked with or without a GPU.

Since TensorRT 10 there is no RNN layer; a loop takes its place. From a layer to numbers:

================  ==================================================================================================
network.py        the loop network of any layer, through TensorRT's Python API
cells.py          one time step of each cell, within that loop
rnn_v2.py         the same for programs that say it as ``add_rnn_v2`` or ``add_rnn`` did
tensors.py        the few layers that a network is made of, as functions from tensors to a tensor
interpreter/      evaluates any network in numpy, as TensorRT documents its layers: no GPU
interpreted.py    the backend ``tensorrt-network``: network and interpreter
compiling.py      a network to an engine, and the table of all configurations; TensorRT-RTX needs no GPU for it
runtime.py        the engine on a GPU: the backends ``tensorrt``, ``tensorrt-rtx`` and the same with TF32
rnn_v2_layer.py   the RNNv2 layer of TensorRT 8 itself on a GPU: the backend ``tensorrt-rnnv2``
api.py            which TensorRT there is, and all in which 8.5, 10, 11 and RTX differ
================  ==================================================================================================
"""
