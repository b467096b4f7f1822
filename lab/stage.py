"""How a long run begins and ends: signals interrupt it, its parts are closed, its folder goes."""

import shutil
import signal

import screen
from tool.place import Trouble

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def perform(name, act, options, make_folder, harmless=(0,)):
    """Runs act(options, folder, parts, view), which gives the exit status. What it appends to `parts`
    is closed in reverse, whatever happens. The folder is kept on request, and unless the status is
    `harmless`; after an interruption it is not. Exit: as act, 130 interrupted, 2 Trouble."""
    for ending in ENDINGS:
        signal.signal(ending, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    folder = make_folder()
    parts, keep = [], options.keep
    view = screen.Screen()
    try:
        result = act(options, folder, parts, view)
        keep = keep or result not in harmless
    except KeyboardInterrupt:
        view.table(["interrupted; cleaning up"])
        result = 130
    except Trouble as trouble:
        view.table([f"{name}: {trouble}"])
        result, keep = 2, True
    finally:
        for ending in ENDINGS:
            signal.signal(ending, signal.SIG_IGN)
        for part in reversed(parts):
            part.close()
        if keep:
            print(f"kept: {folder}", flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return result
