"""Panics of the Rust libraries tokenizers and safetensors."""

from kgcorpus.contracts.errors import InputError


def is_panic(error: BaseException) -> bool:
    """Whether the error is a panic. pyo3's PanicException is not an `Exception` and cannot be imported."""
    return type(error).__name__ == "PanicException"


def panic_as_error(error: BaseException) -> InputError:
    """Convert a panic to a one-line error; its cause is a malformed file that the library accepted."""
    return InputError(
        f"a library for tokenizers or weights failed ({' '.join(str(error).split())[:200]})",
        hint="Save the model and its tokenizer again, or name others",
    )
