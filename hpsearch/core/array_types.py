"""What arrays are called in annotations."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Indices = np.ndarray[Any, np.dtype[np.int64]]
"""Row numbers, shape (n,)."""
