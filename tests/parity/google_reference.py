"""Loads google-research/bert's tokenization.py from a path, without TensorFlow and six. Used by the scripts beside it."""

import importlib.util
import sys
import types


def load(path):
    six = types.ModuleType("six")
    six.PY2, six.PY3 = False, True
    sys.modules.setdefault("six", six)
    sys.modules.setdefault("tensorflow", types.ModuleType("tensorflow"))
    spec = importlib.util.spec_from_file_location("tokenization", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
