"""``fbcompile passes``: the passes that ``fbcompile run`` can run alone."""

from __future__ import annotations

import inspect


def passes() -> None:
    """Lists all passes with their options."""
    from fbcompile.passes import PASSES, load_pass

    for name in PASSES:
        pass_class = load_pass(name)
        first_line = (inspect.getdoc(pass_class) or "").split("\n", 1)[0]
        print(f"{name:<34} {first_line}")
        options = list(inspect.signature(pass_class).parameters)
        if options:
            print(f"{'':<34}   options: {', '.join(options)}")
