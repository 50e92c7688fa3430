"""Panics of libraries that are written in Rust: tokenizers and safetensors."""

from kgcorpus.contracts.errors import InputError


def is_panic(error: BaseException) -> bool:
    """Whether a Rust library panicked: pyo3's PanicException is no `Exception` and cannot be imported."""
    return type(error).__name__ == "PanicException"


def panic_as_error(error: BaseException) -> InputError:
    """A panic in one line; it comes of a file that the library should have refused."""
    return InputError(
        f"a library for tokenizers or weights failed ({' '.join(str(error).split())[:200]})",
        mend="Save the model and its tokenizer again, or name others",
    )
