"""``python -m tongbao``: the command line."""

import sys

from tongbao.cli.main import main

sys.exit(main())
