"""How a build names a language."""

import re

# `simple` names the Simple English Wikipedia.
LANGUAGE_CODE = re.compile(r"simple|[a-z]{2,3}(-[a-z]+)*")
