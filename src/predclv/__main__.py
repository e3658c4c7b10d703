"""`python -m predclv` is `predclv`."""

import sys

from predclv.cli import main

sys.exit(main())
