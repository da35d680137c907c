"""``python -m nvi_operator`` is `nvictl`."""

import sys

from nvi_operator.cli import main

sys.exit(main())
