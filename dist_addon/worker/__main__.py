"""Entry of the worker process: ``python -I -u dist_addon/worker JOB_FOLDER``."""

import sys

from dist_engine.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
