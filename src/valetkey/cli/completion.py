"""Shell completion: the script for a shell, and the names that it asks for."""

from __future__ import annotations

import contextlib
from typing import Final

import click
from click.shell_completion import CompletionItem, get_completion_class

from valetkey.cli.commands import command
from valetkey.cli.session import Session
from valetkey.cli.terminal import out

_VARIABLE: Final = "_VALETKEY_COMPLETE"
_SHELLS: Final = ("bash", "zsh", "fish")


@command(
    "completion",
    examples=(
        'eval "$(valetkey completion bash)"      # in ~/.bashrc',
        'eval "$(valetkey completion zsh)"       # in ~/.zshrc',
        "valetkey completion fish > ~/.config/fish/completions/valetkey.fish",
    ),
)
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print the completion script of your shell: commands, options, and the names of your credentials."""
    from valetkey.cli.app import root  # noqa: PLC0415 - it imports from here

    made = get_completion_class(shell)
    if made is not None:
        out(made(root, {}, "valetkey", _VARIABLE).source())


def complete_credentials(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the declared credentials that begin so.  Never an error: a person is typing."""
    with contextlib.suppress(Exception), contextlib.closing(context.find_object(Session) or Session()) as session:
        return [
            CompletionItem(credential.name, help=credential.display_name)
            for credential in session.core.credentials()
            if credential.name.startswith(incomplete)
        ]
    return []


def complete_presets(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Return the presets that begin so."""
    with contextlib.suppress(Exception):
        from valetkey.model.presets import preset_ids  # noqa: PLC0415

        return [preset for preset in preset_ids() if preset.startswith(incomplete)]
    return []


def complete_token_types(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Return the types of tokens (RFC 8693 section 3) that begin so."""
    with contextlib.suppress(Exception):
        from valetkey.protocol.token_exchange import TOKEN_TYPES  # noqa: PLC0415

        return [kind for kind in TOKEN_TYPES if kind.startswith(incomplete)]
    return []
