"""Loaded by every Python process of a command under torture; tells when it has come to the chosen moment.

Python reports what it does to files as audit events. At the event that matches TORTURE_AT the process makes
the file TORTURE_MARK and, if TORTURE_HOLD is set, stands still, so that it is killed at exactly that point.
"""

import os
import re
import sys
import time
from typing import Any


def install() -> None:
    at, after = (re.compile(os.environ[f"TORTURE_{name}"]) for name in ("AT", "AFTER"))
    seen_before = int(os.environ["TORTURE_SKIP"])
    told = False
    armed = not after.pattern

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal told, armed, seen_before
        if told or event not in ("os.rename", "os.remove", "os.link", "open", "shutil.rmtree"):
            return
        text = " ".join([event, *(str(argument) for argument in arguments[:2])])
        if not armed:
            armed = bool(after.search(text))
        elif at.search(text):
            if seen_before:
                seen_before -= 1
                return
            told = True
            os.close(os.open(os.environ["TORTURE_MARK"], os.O_CREAT | os.O_WRONLY))
            while os.environ["TORTURE_HOLD"]:
                time.sleep(60)

    sys.addaudithook(watch)


if "TORTURE_AT" in os.environ:
    install()
