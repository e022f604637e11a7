"""The generator's process; see `process.main`."""

import sys

from pillion.compare.load.process import main

sys.exit(main(sys.argv[1:]))
