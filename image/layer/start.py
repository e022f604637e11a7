"""What the static entry runs in the layer's Python: Pillion's command line, without `site` and what that looks for."""

import sys

sys.path.append(f"{sys.prefix}/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages")
sys.argv[0] = f"{sys.prefix}/bin/pillion"

from pillion.cli.main import main  # noqa: E402

sys.exit(main())
