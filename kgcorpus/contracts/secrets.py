"""Redaction of passwords and keys in everything that is written or printed.

Secrets come from three sources: the user part of a URL, the values of its query (a presigned URL is a
credential), and the settings `spark.*`. `redact` removes the first two from any text, and all values passed
to `remember`. Published files do not contain `spark.*` settings at all.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MASK = "***"
# Spark's own pattern (spark.redaction.regex), with the names that the file systems use.
_SECRET_NAME = re.compile(
    r"secret|passw|token|\bkey\b|key.?id|api.?key|credential|signature|\bsas\b|\bsig\b|auth",
    re.IGNORECASE,
)
# The length of a scheme is bounded, so that a long text without a URL takes linear time.
_SCHEME = "[A-Za-z][A-Za-z0-9+.-]{0,30}://"
# `zip://a.tsv::https://host/b.zip` chains two URLs (fsspec); each is redacted by itself. After other schemes
# `::s3://` can only be part of a password.
_OUTER = (
    "(?P<outer>(?i:zip|tar|libarchive|dir|file|local|memory|reference|cached|(?:block|file|simple)cache)"
    "(?=://))?"
)
_START = f"(?P<scheme>{_OUTER}(?(outer)|[A-Za-z])[A-Za-z0-9+.-]{{0,30}}://)"
_NEXT = f"(?(outer)(?!::{_SCHEME})|)"
_URL = re.compile(rf"""{_START}(?P<rest>(?:{_NEXT}[^\s"'`<>])+)""")
# A value that consists of URLs and may contain quotes; elsewhere a quote ends a URL.
_ONE_URL = re.compile(rf"{_START}(?P<rest>(?:{_NEXT}\S)+)")
_ONLY_URLS = re.compile(rf"(?:[A-Za-z][A-Za-z0-9+.-]{{0,30}}::)*{_SCHEME}\S+")
# Schemes whose user part may be a token. In abfs and wasb it is the container, in hdfs and sftp the account.
_TOKEN_AS_USER = re.compile(r"(https?|ftps?|s3a?|gs|git.*|webdavs?|davs?)://", re.IGNORECASE)
_PORT = re.compile(r":\d*$")
# Parameters of a path (RFC 3986, 3.3): `/file;sig=abc`.
_PATH_PARAMETER = re.compile(r";([^;/=]*)=([^;/]*)")
# Query parameters that identify a file and are not credentials.
_HARMLESS = {
    "versionId",
    "version",
    "generation",
    "file",
    "filename",
    "format",
    "name",
    "path",
    "title",
    "lang",
}
_SPARK_WORD = re.compile(r"(?P<key>(--[\w-]+=)?spark(\.[^=\s]*)?=).*", re.DOTALL)
_SETTING = re.compile(r"(spark|hadoop|fs)\.")
# Variables of S3, Google and Azure that contain a secret; those that name a file do not.
_STORE_SECRET = re.compile(
    r"(AWS|GOOGLE|AZURE)_(?!.*(FILE|PATH|URI)$)\w*(KEY|SECRET|TOKEN|PASSWORD|SAS|SIGNATURE)", re.IGNORECASE
)
# Shorter values could occur inside ordinary words and are not masked.
_SHORTEST = 6
_remembered: set[str] = set()


def redact(text: str) -> str:
    """Mask users and passwords of URLs, values of their queries, and remembered secrets in a text."""
    for secret in sorted(_remembered, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return _URL.sub(_redacted_url, text)


def redact_all(value: Any) -> Any:
    """Apply `redact` to all strings of a JSON-like value, including keys."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact_all(key): redact_all(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [redact_all(item) for item in value]
    return value


def redact_command(words: Sequence[str]) -> list[str]:
    """Apply `redact` to the words of a command line, and mask the values of `spark.*=...`."""
    return [redact(_SPARK_WORD.sub(rf"\g<key>{MASK}", word)) for word in words]


def is_secret(key: str, value: str) -> bool:
    """Whether a setting contains a secret, judged by its name and by the URLs in its value."""
    return bool(_SECRET_NAME.search(key)) or redact(value) != value


def remember(settings: Any, key: str = "") -> None:
    """Record the secrets of a configuration, so that `redact` also masks them in other programs' messages.

    Args:
        settings: a JSON-like value.
        key: name of the setting, if `settings` is a single value.
    """
    if isinstance(settings, Mapping):
        for name, value in settings.items():
            remember(value, str(name))
    elif isinstance(settings, Sequence) and not isinstance(settings, str | bytes):
        for value in settings:
            remember(value, key)
    elif isinstance(settings, str):
        found = [settings] if _SETTING.match(key) and _SECRET_NAME.search(key) else _in_urls(settings)
        _remembered.update(secret for secret in found if len(secret) >= _SHORTEST)


def remember_secret(value: str | None) -> None:
    """Record a password or token, so that `redact` masks it; None is ignored."""
    if value is not None and len(value) >= _SHORTEST:
        _remembered.add(value)


def remember_environment(environment: Mapping[str, str]) -> None:
    """Record the keys of object stores in environment variables, as `remember` does."""
    for name, value in environment.items():
        if _STORE_SECRET.match(name) and len(value) >= _SHORTEST:
            _remembered.add(value)


def _in_urls(text: str) -> Iterator[str]:
    """Yield passwords in URLs, and values of query parameters with secret names."""
    urls = _ONE_URL if _ONLY_URLS.fullmatch(text) else _URL
    for match in urls.finditer(text):
        user, rest = _split_user(match["scheme"], match["rest"])
        yield user.rstrip("@").partition(":")[2]
        for pair in re.split("[?&#;]", rest)[1:]:
            name, _, value = pair.partition("=")
            if _SECRET_NAME.search(name):
                yield value


def _redacted_url(match: re.Match[str]) -> str:
    scheme = match["scheme"]
    user, rest = _split_user(scheme, match["rest"])
    kept = "" if ":" in user or _TOKEN_AS_USER.match(scheme) else user
    address, hash_, _ = rest.partition("#")
    place, mark, query = address.partition("?")
    place = _PATH_PARAMETER.sub(lambda found: f";{_redacted_pair(found[0][1:])}", place)
    return f"{scheme}{kept}{place}{mark}{_redacted_query(query)}{hash_}{MASK if hash_ else ''}"


def _split_user(scheme: str, rest: str) -> tuple[str, str]:
    """Split `user:password@` from the rest; a password may contain an unescaped slash or at sign.

    `u:12/34@h` is ambiguous: host, port and path, or user and password. It is treated as user and password if
    `u` contains no dot, URLs of the scheme have passwords, and no slash directly precedes the at sign.
    """
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    # No host contains `::`, but for an IPv6 address in brackets.
    is_host = (
        (authority.startswith("[") or "::" not in authority)
        and _PORT.search(authority)
        and (
            "." in authority
            or authority.startswith(("localhost:", "["))
            or "/@" in rest
            or not _TOKEN_AS_USER.match(scheme)
        )
    )
    if "@" in authority:
        end = authority.rindex("@") + 1
    elif ":" in authority and not is_host and "@" in rest:
        end = rest.rindex("@") + 1
    else:
        end = 0
    return rest[:end], rest[end:]


def _redacted_query(query: str) -> str:
    parts = re.split("([&;?])", query)
    return "".join(part if i % 2 else _redacted_pair(part) for i, part in enumerate(parts))


def _redacted_pair(pair: str) -> str:
    name, _, value = pair.partition("=")
    if not pair or name in _HARMLESS:
        return pair
    return f"{name}={MASK}" if value else MASK
