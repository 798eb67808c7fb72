"""The command line: how commands are called and end. The commands are in hpsearch/commands/."""

import sys
import traceback
from typing import NoReturn

import click

from hpsearch.commands.choose import predict, refit
from hpsearch.commands.completion import completion
from hpsearch.commands.export import export
from hpsearch.commands.init import init
from hpsearch.commands.read import rank, show, studies
from hpsearch.commands.search import plan, run
from hpsearch.commands.watch import watch
from hpsearch.errors import HpsearchError


def main() -> NoReturn:
    """Run a command; 0: done, 1: every trial failed, 2: the user's mistake, 130: Ctrl-C."""
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    try:
        sys.exit(app.main(arguments, "hpsearch", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(0)
    except (HpsearchError, click.ClickException) as error:
        if debug:
            traceback.print_exc()
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo(f"hpsearch: error: {message}", err=True)
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        click.echo("\nstopped; the same command continues", err=True)
        sys.exit(130)


@click.group(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hpsearch")
def app() -> None:
    """Hyperparameter search and model selection for Keras models.

    Exit codes: 0 done; 1 every trial failed; 2 a mistake of yours, told in one line (--debug adds
    the traceback); 130 stopped by Ctrl-C.
    """


COMMANDS = (init, run, plan, watch, rank, show, studies, refit, predict, export, completion)
for command in COMMANDS:
    app.add_command(command)
