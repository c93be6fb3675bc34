"""The call of the process: variables of the environment, and the command as it was typed."""

import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import click

from scorer import hints
from scorer.errors import Step, TweetscoreError

PREFIX = "TWEETSCORE"

_OURS = re.compile(r"TWEETSCORE_", re.IGNORECASE)
_ALMOST_OURS = re.compile(r"TWEET_?SCORES?_?", re.IGNORECASE)


def variable(param: click.Parameter) -> str:
    """Return the variable that stands for an option, whichever command it belongs to."""
    return f"{PREFIX}_{param.name}".upper()


def without_effect(ctx: click.Context) -> dict[str, str]:
    """Return the variables that resemble ours and have no effect, each with the nearest one.

    No other command is imported where all of them belong to the command that runs.
    """
    set_here = [name for name in os.environ if _ALMOST_OURS.match(name)]
    known = {variable(param) for param in ctx.command.params}
    if all(name in known for name in set_here):
        return {}
    known |= {variable(param) for param in _options(ctx.find_root().command, ctx)}
    return {
        name: nearest
        for name in sorted(set_here)
        if name not in known and ((nearest := _nearest(name, known)) or _OURS.match(name))
    }


def complaint(name: str, nearest: str) -> str:
    """Return the message about a variable without effect."""
    meant = f"did you mean {nearest}?" if nearest else "no option has that name"
    return f"{name} in the environment has no effect; {meant}"


def _options(command: click.Command, ctx: click.Context) -> Iterator[click.Parameter]:
    """Yield the options of a command and of all its subcommands."""
    yield from (param for param in command.params if isinstance(param, click.Option))
    if isinstance(command, click.Group):
        with suppress(TweetscoreError):  # the folder export is not there: its options neither
            for name in command.list_commands(ctx):
                if below := command.get_command(ctx, name):
                    yield from _options(below, ctx)


def _nearest(name: str, known: set[str]) -> str:
    """Return the known variable that is spelled most alike; nothing where none is alike."""
    by_letters = {_letters(each): each for each in sorted(known)}
    close = difflib.get_close_matches(_letters(name), by_letters, n=1, cutoff=0.75)
    return by_letters[close[0]] if close else ""


def _letters(name: str) -> str:
    return _ALMOST_OURS.sub("", name, count=1).upper().replace("_", "")


_CALL = "tweetscore.call"  # in the context's meta, which all commands share
_STDIN = "-"


def remember_args(ctx: click.Context, args: Sequence[str]) -> None:
    """Keep the arguments of the call as they were typed, before click parses them."""
    ctx.meta[_CALL] = ctx.command, ctx.command_path, tuple(args)


def with_command(error: TweetscoreError, file: Mapping[str, str] | None = None) -> str:
    """Return an error's line; where options are all that is missing, with the command to paste.

    Args:
        error: What went wrong.
        file: The `input` that failed and its `output`, where a command has many.
    """
    ctx = click.get_current_context(silent=True)
    if not (error.options or error.step) or ctx is None or _CALL not in ctx.meta:
        return str(error)
    command, name, args = ctx.meta[_CALL]  # the context may be that of the program by now
    call = _Call(command, args)
    if not call.has_options(error.options) or not call.can_be_typed_again:
        return str(error)
    if call.is_about_many:
        if file is None:
            return str(error)
        call.narrow(file["input"], file["output"])
    if error.step is None:
        return error.line(f"try: {call.made}{name} {call.words(error.options)}")
    if error.step.input:
        call.replace_input(error.step)
    again = f"{call.made}{name} {call.words(error.options)}"
    return error.line(error.step.before(again))


class _Call:
    """A call as it was typed: its arguments, and its options each with its value."""

    def __init__(self, command: click.Command, args: Sequence[str]) -> None:
        self._named = {
            name: param
            for param in command.params
            if isinstance(param, click.Option)
            for name in (*param.opts, *param.secondary_opts)
        }
        self.arguments: list[str] = []
        self._options: list[tuple[click.Option | None, list[str]]] = []
        self.made = ""  # what makes the output's directory, where the call would have made it
        rest = list(args)
        while rest:
            self._take(rest)

    def _take(self, rest: list[str]) -> None:
        typed = rest.pop(0)
        if typed == "--":
            self.arguments += rest
            rest.clear()
        elif not typed.startswith("-") or typed == _STDIN:
            self.arguments.append(typed)
        else:
            name = typed.partition("=")[0] if typed.startswith("--") else typed[:2]
            option = self._named.get(name)
            words = [typed]
            if option is not None and not option.is_flag and typed == name and rest:
                words.append(rest.pop(0))
            self._options.append((option, words))

    @property
    def can_be_typed_again(self) -> bool:
        """Whether the call needs no stream, and has no URL, which may hold a secret."""
        words = [*self.arguments, *(word for _, words in self._options for word in words)]
        return _STDIN not in self.arguments and not any("://" in word for word in words)

    @property
    def is_about_many(self) -> bool:
        """Whether the call has several files, or a directory or pattern of them."""
        named = self.arguments  # none, where options name the files
        return len(named) > 1 or not all(Path(each).is_file() for each in named)

    def replace_input(self, step: Step) -> None:
        """Replace the input by the output of an earlier command."""
        self.arguments = [step.input]
        option = self._named.get("--output")
        if step.output and option and not any(found is option for found, _ in self._options):
            self._options.append((option, ["-o", step.output]))

    def has_options(self, names: Mapping[str, str | None]) -> bool:
        """Return whether the command has such options."""
        return self._named.keys() >= names.keys()

    def narrow(self, path: str, output: str) -> None:
        """Reduce the call to one file, with -o where its output lies in another directory.

        What holds for directories only is left out. A directory of which no file was scored stays:
        what one of them lacks, the others do too, and the call makes the directory of the outputs.
        """
        above = Path(output).parent
        if self._made_nothing(Path(path), above):
            return
        self.arguments = [path]
        option = self._named.get("--output")
        had = any(found is option for found, _ in self._options)
        about_many = (option, self._named.get("--prune"))
        self._options = [
            each for each in self._options if each[0] is None or each[0] not in about_many
        ]
        if option is not None and output != path and (had or above != Path(path).parent):
            self._options.append((option, ["--output", output]))
            self.made = "" if above.is_dir() else f"mkdir -p {hints.path_word(above)} && "

    def _made_nothing(self, path: Path, above: Path) -> bool:
        """Tell whether the call is about one directory, and that of its outputs is not there."""
        directory = Path(self.arguments[0])
        if len(self.arguments) > 1 or not path.parent.is_relative_to(directory):
            return False
        levels = len(path.parent.relative_to(directory).parts)
        return not [above, *above.parents][levels].is_dir()

    def words(self, added: Mapping[str, str | None]) -> str:
        """Return the whole call with some options added, or their values replaced."""
        replaced = {id(self._named[name]) for name in added}
        kept = [words for option, words in self._options if id(option) not in replaced]
        return " ".join(
            [
                *(word if word == _STDIN else hints.path_word(word) for word in self.arguments),
                *(hints.word(word) for words in kept for word in words),
                *([hints.options(added)] if added else []),
            ]
        )
