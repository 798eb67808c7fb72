"""The command line: how commands are called, and how they end."""

import sys
import traceback
from typing import NoReturn

import click

from hpsearch.commands.compare import compare
from hpsearch.commands.completion import completion
from hpsearch.commands.doctor import doctor
from hpsearch.commands.export import export
from hpsearch.commands.help import show_help
from hpsearch.commands.housekeeping import clean, delete, note, rename, tag
from hpsearch.commands.init import init
from hpsearch.commands.read import rank, show, studies
from hpsearch.commands.refit import predict, refit
from hpsearch.commands.report import report
from hpsearch.commands.run import plan, run
from hpsearch.commands.watch import watch
from hpsearch.core.errors import HpsearchError, first_line
from hpsearch.core.files import hide_secrets
from hpsearch.core.streams import make_streams_tolerant

_LONGEST = 2000  # characters of a message


def main() -> NoReturn:
    """Run a command and exit with its code, which `app` lists.

    Output that nobody reads (a closed pipe) fails no command.
    """
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    streams = make_streams_tolerant()
    code = _run_command(arguments, debug=debug)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    if lost := [stream.error for stream in streams if stream.error is not None]:
        _print_error(f"some output could not be written: {lost[0].strerror}")
        code = code or 2
    sys.exit(code)


def _run_command(arguments: list[str], *, debug: bool) -> int:
    """Run a command; returns its exit code. An error is printed in one line."""
    try:
        return int(app.main(arguments, "hpsearch", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except (KeyboardInterrupt, click.Abort):
        click.echo("\nstopped; run the same command again to continue", err=True)
        return 130
    except SystemExit as error:  # click ends completion in a shell so
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        _print_error(str(error.code))
        return 2
    except BaseException as error:  # a study's code may raise anything
        if debug:
            traceback.print_exc()
        if isinstance(error, HpsearchError | click.ClickException | OSError):
            _print_error(_describe_error(error))
            return 2
        *_, last = traceback.extract_tb(error.__traceback__)
        _print_error(
            f"{first_line(error)} ({last.filename}:{last.lineno}); this is a mistake in hpsearch; "
            "--debug shows the traceback"
        )
        return 3


def _describe_error(error: BaseException) -> str:
    """An error in words; of the operating system, which file and why."""
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, OSError) and not isinstance(error, HpsearchError):
        what = f"{error.filename or 'a file'}: {error.strerror or error}"
        return f"{what}; check that it exists and can be used"
    return str(error)


def _print_error(message: str) -> None:
    """Print an error in one line, without the passwords of URLs."""
    shortened = message if len(message) <= _LONGEST else f"{message[:_LONGEST]}..."
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in hide_secrets(shortened))
    click.echo(f"hpsearch: error: {line}", err=True)


@click.group(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hpsearch")
def app() -> None:
    """Hyperparameter search and model selection for Keras models.

    `hpsearch help` lists the topics of the guide.

    Exit codes: 0 done; 1 every trial failed, or one study of several; 2 a mistake of yours,
    reported in one line (--debug adds the traceback); 3 a mistake in hpsearch; 130 stopped by
    Ctrl-C.
    """


COMMANDS = (
    init,
    run,
    plan,
    watch,
    rank,
    show,
    studies,
    compare,
    doctor,
    report,
    refit,
    predict,
    export,
    delete,
    rename,
    tag,
    note,
    clean,
    completion,
    show_help,
)
for command in COMMANDS:
    app.add_command(command)
