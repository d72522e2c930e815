"""`python -m defocus_edge`: the same program as the command `defocus-edge`."""

import sys

from defocus_edge.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
