"""Completion in the shell."""

import click
from click.shell_completion import get_completion_class

from hpsearch.core.errors import HpsearchError


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands, options, studies, tasks and trials.

    \b
    bash: echo 'eval "$(hpsearch completion bash)"' >> ~/.bashrc
    zsh:  echo 'eval "$(hpsearch completion zsh)"' >> ~/.zshrc
    fish: hpsearch completion fish > ~/.config/fish/completions/hpsearch.fish

    It works for `hpsearch`, not for `python -m hpsearch`: what a shell completes is a program's name.
    """
    chosen = get_completion_class(shell)
    if chosen is None:
        raise HpsearchError(f"click knows no completion for {shell}; use bash, zsh or fish")
    root = context.find_root()
    click.echo(chosen(root.command, {}, "hpsearch", "_HPSEARCH_COMPLETE").source())
