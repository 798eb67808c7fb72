"""The command line, with training replaced by a chain of hashes: no framework is loaded."""

from hpsearch.commands.main import main
from hpsearch.runs import worker
from tests import fakes

if __name__ == "__main__":
    worker.prepare_from_file = fakes.prepare_chain
    main()
