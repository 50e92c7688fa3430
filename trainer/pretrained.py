"""What transformers says of a folder or hub id that it cannot load, as one line."""

from kgcorpus.contracts.errors import UsageError

# It advises trust_remote_code=True, which runs whatever code came with the weights.
_OWN_CODE = "custom code"


def not_loaded(error: Exception, *, where: str) -> UsageError:
    """The error to show.

    Args:
        error: of `from_pretrained`, which is always called with `trust_remote_code=False`: without it
            transformers asks on stdin whether to run the code that came with a model.
        where: the setting and its value.
    """
    if _OWN_CODE in str(error):
        mend = "Name a model whose architecture transformers itself has"
        return UsageError("comes with code of its own, which is not run", where=where, mend=mend)
    return UsageError(
        f"cannot be loaded: {' '.join(str(error).split())}",
        where=where,
        mend="Name a folder, or a hub id, with config.json, model.safetensors and tokenizer.json",
    )
