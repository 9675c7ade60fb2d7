"""What the tests of pictures draw."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))  # for drawn and gallery, under any import mode
