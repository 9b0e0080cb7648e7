"""`python3 -m pulse_model judge FOLDER`, or `... exact` with the product's folds on standard input."""

import json
import sys
from pathlib import Path

from .exact import compare
from .judge import judge


def main(words: list[str]) -> int:
    """Prints a verdict; 0 when it is good, 1 when not, 2 when asked for something else."""
    match words:
        case ["judge", folder]:
            verdict = judge(Path(folder))
        case ["exact"]:
            verdict = compare(sys.stdin.buffer)
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    print(json.dumps(verdict))
    return 0 if verdict["good"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
