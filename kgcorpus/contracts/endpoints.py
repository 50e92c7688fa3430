"""Environment variables that lead a URL of an object store to a server and an account."""

from collections.abc import Mapping

# With other values of these, the same URL names other objects. Names: those that obstore reads.
_VARIABLES = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "abfs": (
        "AZURE_STORAGE_ACCOUNT_NAME",
        "AZURE_STORAGE_ENDPOINT",
        "AZURE_ENDPOINT",
        "AZURE_STORAGE_USE_EMULATOR",
        "AZURITE_BLOB_STORAGE_URL",
    ),
}
_VARIABLES["abfss"] = _VARIABLES["abfs"]


def endpoint_settings(url: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are set for the store of a URL; none for other URLs."""
    names = _VARIABLES.get(url.partition("://")[0], ())
    return {name: environment[name] for name in names if environment.get(name)}


def address_of(url: str, environment: Mapping[str, str]) -> str:
    """Return a name for what a URL means in this environment; equal only for the same server and account.

    It may contain keys, which an endpoint can have in its user part: hash it, do not show it.
    """
    settings = endpoint_settings(url, environment)
    return "\n".join([url, *(f"{name}={value}" for name, value in settings.items())])
