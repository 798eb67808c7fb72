"""The user's guide, read in a terminal."""

import json
import re

import click

from hpsearch.commands import arguments, completion, guide
from hpsearch.core.errors import HpsearchError


@click.command("help")
@click.argument("topic", required=False, shell_complete=completion.complete_topics)
@arguments.as_json
@click.pass_context
def show_help(context: click.Context, topic: str | None, as_json: bool) -> None:
    """Show a page of the guide, or list its topics.

    For the options of a command, add --help to it: hpsearch run --help.
    """
    from rich.markdown import Markdown
    from rich.table import Table

    from hpsearch.console import tables

    console = tables.make_console(stderr=as_json)
    if topic is None:
        table = Table.grid(padding=(0, 2))
        titles = {name: guide.title(name) for name in guide.TOPICS}
        for name, text in titles.items():
            table.add_row(name, text)
        tables.print_parts(console, [table, "\n`hpsearch help TOPIC` shows a page"])
        document: object = [{"topic": name, "title": text} for name, text in titles.items()]
    else:
        commands = context.find_root().command
        is_command = isinstance(commands, click.Group) and topic in commands.commands
        if is_command and topic not in guide.TOPICS:
            raise HpsearchError(
                f"{topic!r} is a command: hpsearch {topic} --help shows its options"
            )
        text = guide.read_page(topic)
        if console.is_terminal:
            console.print(Markdown(_with_commands_for_links(text)))
        else:  # a pipe or a file gets the page as it was written
            console.print(text, markup=False, soft_wrap=True)
        document = {"topic": topic, "title": guide.title(topic), "text": text}
    if as_json:
        click.echo(json.dumps(document))


def _with_commands_for_links(text: str) -> str:
    """A page whose links to other pages are commands: a terminal cannot follow links.

    >>> _with_commands_for_links("See [spaces](spaces.md), and [`KFold`](evaluators.md).")
    'See `hpsearch help spaces`, and `KFold` (`hpsearch help evaluators`).'
    """
    same_name = re.sub(r"\[([\w-]+)\]\(\1\.md\)", r"`hpsearch help \1`", text)
    return re.sub(r"\[([^]\n]+)\]\(([\w-]+)\.md\)", r"\1 (`hpsearch help \2`)", same_name)
