"""Choose an encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from scsemst.language.cache import EmbeddingCache

from .cached import CachedEncoder
from .checkpoint import Checkpoint
from .endpoint import EndpointEncoder
from .huggingface import HuggingFaceEncoder

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from .base import Encoder


def get_encoder(
    model: str | Path,
    *,
    pooling: Literal["mean", "last"] = "mean",
    revision: str | None = None,
    gguf_file: str | None = None,
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
    batch_size: int = 32,
    max_length: int | None = None,
    device: str | torch.device = "auto",
    dtype: str = "auto",
    base_url: str | None = None,
    api_key_env: str = "OPENAI_API_KEY",
    max_concurrency: int = 8,
    timeout: float = 60.0,
    max_retries: int = 8,
    cache: bool = True,
) -> Encoder:
    """Return an encoder of texts; no weights are loaded before they are needed.

    Parameters
    ----------
    model
        Hugging Face hub id, local folder or `.gguf` file; with `base_url`, the endpoint's name of the model.
    pooling
        `"mean"` over all tokens, or the `"last"` token. An endpoint pools by itself.
    revision
        Branch, tag or commit of a hub model.
    gguf_file
        Name of the GGUF file in the folder or repository.
    trust_remote_code
        Whether code that comes with the model may run.
    allow_pickle
        Whether weights stored as pickle may be loaded when there are no safetensors.
    batch_size
        Texts per forward pass or request.
    max_length
        Tokens read of each text; what the model can read if `None`.
    device
        Torch device; `"auto"` takes a GPU if there is one.
    dtype
        `"float32"`, `"float16"`, `"bfloat16"`; `"auto"` is half precision on a GPU, float32 elsewhere.
    base_url
        Address of an OpenAI-compatible server, such as `"http://localhost:8000/v1"`.
    api_key_env
        Name of the environment variable that holds the endpoint's key.
    max_concurrency
        Requests to the endpoint under way at a time.
    timeout
        Seconds to wait for the endpoint's answer before asking again.
    max_retries
        How often a request is repeated before giving up.
    cache
        Whether vectors are kept in `settings.cache_dir`.

    Raises
    ------
    ValueError
        If the model cannot be found or loaded, or has no tokenizer.
    TypeError
        If options of a local model are passed with `base_url`.

    Examples
    --------
    >>> from scsemst.language.encoders import get_encoder
    >>> encoder = get_encoder("text-embedding", base_url="http://localhost:8000/v1", cache=False)
    >>> encoder.id
    'endpoint:http://localhost:8000/v1/text-embedding'
    """
    encoder: Encoder
    if base_url is not None:
        own = {"pooling": pooling != "mean", "max_length": max_length is not None, "dtype": dtype != "auto"}
        own |= {"revision": revision is not None, "gguf_file": gguf_file is not None}
        if useless := [f"{name}=" for name, given in own.items() if given]:
            raise TypeError(f"{', '.join(useless)} would change nothing: with base_url= the server decides. Leave out.")
        encoder = EndpointEncoder(
            str(model),
            base_url=base_url,
            api_key_env=api_key_env,
            batch_size=batch_size,
            max_concurrency=max_concurrency,
            timeout=timeout,
            max_retries=max_retries,
        )
    else:
        checkpoint = Checkpoint(
            model,
            revision=revision,
            gguf_file=gguf_file,
            trust_remote_code=trust_remote_code,
            allow_pickle=allow_pickle,
            device=device,
            dtype=dtype,
        )
        encoder = HuggingFaceEncoder(checkpoint, pooling=pooling, batch_size=batch_size, max_length=max_length)
    return CachedEncoder(encoder, EmbeddingCache()) if cache else encoder
