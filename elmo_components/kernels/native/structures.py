"""The structs of source/layer.h and source/encoder.h. Arrays are addresses; `None` is null."""

import ctypes

__all__ = [
    "Batch",
    "Convolution",
    "Direction",
    "Encoder",
    "Gradients",
    "HighwayLayer",
    "Layer",
    "OpenMp",
    "Sizes",
    "Words",
]

_FLOATS = ctypes.c_void_p
_SIZE = ctypes.c_int64


class Sizes(ctypes.Structure):
    """The struct `ElmoSizes` of source/layer.h."""

    _fields_ = (
        ("input_size", _SIZE),
        ("hidden_size", _SIZE),
        ("cell_size", _SIZE),
        ("projected", _SIZE),
    )


class OpenMp(ctypes.Structure):
    """The struct `ElmoOpenMp` of source/layer.h."""

    _fields_ = (
        ("parallel", ctypes.c_void_p),
        ("num_threads", ctypes.c_void_p),
        ("thread_number", ctypes.c_void_p),
    )


class Batch(ctypes.Structure):
    """The struct `ElmoBatch` of source/layer.h."""

    _fields_ = (
        ("instructions", _SIZE),
        ("threads", _SIZE),
        ("openmp", OpenMp),
        ("directions", _SIZE),
        ("batch", _SIZE),
        ("time", _SIZE),
        ("lengths", ctypes.c_void_p),
        ("cell_clip", ctypes.c_float),
        ("projection_clip", ctypes.c_float),
    )


class Direction(ctypes.Structure):
    """The struct `ElmoDirection` of source/layer.h."""

    _fields_ = (
        ("weights", _FLOATS),
        ("biases", _FLOATS),
        ("inputs", _FLOATS),
        ("hidden", _FLOATS),
        ("cell", _FLOATS),
        ("dropout", _FLOATS),
        ("reversed", _SIZE),
        ("outputs", _FLOATS),
        ("last_hidden", _FLOATS),
        ("last_cell", _FLOATS),
        ("saved_gates", _FLOATS),
        ("saved_cells", _FLOATS),
        ("saved_inputs", _FLOATS),
        ("saved_projected", _FLOATS),
    )


class Layer(ctypes.Structure):
    """The struct `ElmoLayer` of source/layer.h."""

    _fields_ = (
        ("sizes", Sizes),
        ("skip", _SIZE),
        ("input_sentence", _SIZE),
        ("input_step", _SIZE),
        ("output_sentence", _SIZE),
        ("output_step", _SIZE),
        ("directions", ctypes.POINTER(Direction)),
    )


class Gradients(ctypes.Structure):
    """The struct `ElmoGradients` of source/layer.h."""

    _fields_ = (
        ("weights", _FLOATS),
        ("cell", _FLOATS),
        ("dropout", _FLOATS),
        ("grad_outputs", _FLOATS),
        ("saved_cells", _FLOATS),
        ("saved_projected", _FLOATS),
        ("gates", _FLOATS),
        ("rounded_gates", ctypes.c_void_p),
        ("grad_projected", _FLOATS),
        ("activated", _FLOATS),
        ("grad_hidden", _FLOATS),
        ("grad_cell", _FLOATS),
        ("grad_inputs", _FLOATS),
    )


class Convolution(ctypes.Structure):
    """The struct `ElmoConvolution` of source/encoder.h."""

    _fields_ = (("width", _SIZE), ("number", _SIZE), ("table", _FLOATS))


class HighwayLayer(ctypes.Structure):
    """The struct `ElmoHighway` of source/encoder.h."""

    _fields_ = (("weights", _FLOATS), ("carry_bias", _FLOATS), ("transform_bias", _FLOATS))


class Encoder(ctypes.Structure):
    """The struct `ElmoEncoder` of source/encoder.h."""

    _fields_ = (
        ("instructions", _SIZE),
        ("threads", _SIZE),
        ("openmp", OpenMp),
        ("num_characters", _SIZE),
        ("num_filters", _SIZE),
        ("hidden_size", _SIZE),
        ("tanh", _SIZE),
        ("num_convolutions", _SIZE),
        ("num_highways", _SIZE),
        ("convolutions", ctypes.POINTER(Convolution)),
        ("filter_bias", _FLOATS),
        ("highways", ctypes.POINTER(HighwayLayer)),
        ("projection", _FLOATS),
        ("projection_bias", _FLOATS),
    )


class Words(ctypes.Structure):
    """The struct `ElmoWords` of source/encoder.h."""

    _fields_ = (
        ("words", _SIZE),
        ("characters", _SIZE),
        ("ids", ctypes.c_void_p),
        ("maxima", _FLOATS),
        ("outputs", _FLOATS),
    )
