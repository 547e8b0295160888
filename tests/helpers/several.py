"""`torchrun -m tests.helpers.several FILE` runs the commands in FILE in sequence; rank 0 prints the results.

Starting torchrun and importing torch in each process takes longer than the tests' small runs.
"""

import json
import os
import sys
from pathlib import Path

from tests.helpers.runs import sandbox

if __name__ == "__main__":
    runs = [sandbox(*command) for command in json.loads(Path(sys.argv[1]).read_text("utf-8"))]
    if os.environ["RANK"] == "0":
        print(json.dumps([(run.returncode, run.stdout, run.stderr) for run in runs]))
    sys.exit(max(run.returncode for run in runs))
