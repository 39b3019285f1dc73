"""The tree of commands and the way from an outcome to an exit code."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
from collections.abc import Mapping, Sequence

from cyclopts import App, CycloptsError, Parameter

from likeness.cli import (
    animate,
    batch,
    bench,
    consent,
    demo,
    doctor,
    dub,
    edit,
    evaluate,
    export,
    live,
    models,
    reenact,
    swap,
    track,
    train,
    verify,
)
from likeness.cli.answer import (
    DONE,
    FAILED,
    MISUSED,
    PrintableFormatter,
    answer,
    complain,
)
from likeness.cli.failures import sentence
from likeness.cli.streams import lasting_streams
from likeness.errors import ConfigError, LikenessError
from likeness.outputs import Stopped, one_way_out


def build() -> App:
    """Assemble the commands."""
    from importlib.metadata import version

    app = App(
        name="likeness",
        help="Video portraits: transfer, edit and verify the performance of a real person's face.",
        version=version("likeness"),
        help_format="markdown",
        # A flag is given or not given: --no-json would be a second way to say nothing.
        default_parameter=Parameter(negative=()),
        # Every end leaves by one way, and says how to go on.
        suppress_keyboard_interrupt=False,
    )
    app.command(doctor.doctor, help_epilogue=doctor.EXAMPLE)
    app.command(track.track, help_epilogue=track.EXAMPLE)
    app.command(train.app)
    app.command(reenact.reenact, help_epilogue=reenact.EXAMPLE)
    app.command(animate.animate, help_epilogue=animate.EXAMPLE)
    app.command(dub.dub, help_epilogue=dub.EXAMPLE)
    app.command(swap.swap, help_epilogue=swap.EXAMPLE)
    app.command(edit.edit, help_epilogue=edit.EXAMPLE)
    app.command(evaluate.app)
    app.command(live.live, help_epilogue=live.EXAMPLE)
    app.command(batch.batch, help_epilogue=batch.EXAMPLE)
    app.command(verify.verify, help_epilogue=verify.EXAMPLE)
    app.command(demo.demo, help_epilogue=demo.EXAMPLE)
    app.command(bench.bench, help_epilogue=bench.EXAMPLE)
    app.command(models.app)
    app.command(export.export, help_epilogue=export.EXAMPLE)
    app.command(consent.app)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command, print its answer and return its exit code.

    Args:
        arguments: as typed, without the program's name.
    """
    with lasting_streams():
        return _run(arguments)


def _run(arguments: Sequence[str]) -> int:
    told = logging.StreamHandler(sys.stderr)
    told.setFormatter(PrintableFormatter("likeness: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[told])
    as_json = any(argument.split("=")[0] == "--json" for argument in arguments)
    # While a program listens, standard output is for the one object: whatever else a library
    # prints goes to standard error.
    elsewhere = contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()
    try:
        with one_way_out(), elsewhere:
            facts = build()(
                list(arguments),
                result_action="return_value",
                exit_on_error=False,
                print_error=False,
            )
        return answer(facts, as_json) if isinstance(facts, Mapping) else DONE
    except CycloptsError as error:
        complain(error, str(error), as_json)
        return MISUSED
    except LikenessError as error:
        complain(error, str(error), as_json)
        return MISUSED if isinstance(error, ConfigError) else FAILED
    except (Stopped, KeyboardInterrupt) as end:
        stopped = end if isinstance(end, Stopped) else Stopped(signal.SIGINT)
        print(f"likeness: {stopped}", file=sys.stderr)
        return stopped.exit_code
    except Exception as error:  # a library's: this is the one place that words it
        complain(error, sentence(error), as_json)
        return FAILED
