"""A Hugging Face model and its tokenizer, found and loaded only when they are needed."""

from __future__ import annotations

import hashlib
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_HASHED_SUFFIXES = frozenset({".safetensors", ".gguf", ".bin", ".json", ".txt", ".model", ".jinja", ".py"})
_NO_PICKLE = "Weights stored as pickle can run code; pass allow_pickle=True only if you trust where they came from."


class Checkpoint:
    """A model's identity, tokenizer and weights.

    Parameters
    ----------
    model
        Hub id, local folder, or local `.gguf` file.
    revision
        Branch, tag or commit of a hub model.
    gguf_file
        Name of the GGUF file in the folder or repository.
    trust_remote_code
        Whether code that comes with the model may run.
    allow_pickle
        Whether weights stored as pickle (`.bin`) may be loaded when there are no safetensors.
    device
        Torch device; `"auto"` takes a GPU if there is one.
    dtype
        Precision of the weights; `"auto"` takes half precision on a GPU and float32 elsewhere.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        revision: str | None = None,
        gguf_file: str | None = None,
        trust_remote_code: bool = False,
        allow_pickle: bool = False,
        device: str | torch.device = "auto",
        dtype: str = "auto",
    ) -> None:
        self.folder, self.gguf_file = _locate(str(model), gguf_file)
        if self.folder is not None and revision is not None:
            raise ValueError(
                f"revision={revision!r} is of the hub, but {str(self.folder)!r} is a folder here. Leave it out."
            )
        self.name = self.folder.name if self.folder else str(model)
        self.revision = revision
        self.trust_remote_code = trust_remote_code
        self.allow_pickle = allow_pickle
        self._device = device
        self._dtype = dtype

    @cached_property
    def id(self) -> str:
        """Name, commit (hub) or hash of the files (local folder), GGUF file and precision."""
        version = self.commit if self.folder is None else hash_folder(self.folder, self.gguf_file)
        file = f"/{self.gguf_file}" if self.gguf_file else ""
        return f"{self.name}{file}@{version}/{str(self.dtype).removeprefix('torch.')}"

    @cached_property
    def commit(self) -> str:
        """Commit of a hub model, asked for once: what is loaded is what the identity says."""
        from transformers.utils.hub import cached_file, extract_commit_hash

        file = self.gguf_file or "config.json"
        try:
            found = extract_commit_hash(cached_file(self.name, file, revision=self.revision), None)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"model={self.name!r} is no local folder or file, and could not be fetched from the hub: {error}"
            ) from error
        return found or self.revision or "main"

    @cached_property
    def device(self) -> torch.device:
        """Device the model runs on."""
        import torch

        if str(self._device) in ("auto", "mps") and torch.backends.mps.is_available():
            return torch.device("mps")  # which training cannot use
        from scsemst._device import resolve_device

        return resolve_device(str(self._device))

    @cached_property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
        import torch

        names = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
        if self._dtype != "auto":
            if self._dtype not in names:
                raise ValueError(f"dtype={self._dtype!r} is not one of 'auto', {', '.join(map(repr, names))}.")
            return names[self._dtype]
        if self.device.type == "cuda":
            return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        return torch.float16 if self.device.type == "mps" else torch.float32

    @cached_property
    def config(self) -> Any:
        """The model's configuration."""
        from transformers import AutoConfig

        if self.gguf_file:  # reading a GGUF file takes long: not once more for the configuration alone
            return self.model.config
        return self._load(AutoConfig, "configuration")

    @cached_property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        from transformers import AutoTokenizer

        if self.folder and not self.gguf_file and not _has_tokenizer(self.folder):
            raise ValueError(
                f"The model folder {str(self.folder)!r} has no tokenizer (tokenizer.json, tokenizer_config.json, "
                "tokenizer.model or vocab.txt). Save the model's own into it: "
                "transformers.AutoTokenizer.from_pretrained(name).save_pretrained(folder)."
            )
        return self._load(AutoTokenizer, "tokenizer")

    @cached_property
    def model(self) -> Any:
        """The frozen model without its output head, in evaluation mode on its device."""
        from transformers import AutoModel

        options: dict[str, Any] = {"dtype": self.dtype}
        if not self.gguf_file and not self.allow_pickle:
            options["use_safetensors"] = True
        model = self._load(AutoModel, "model", **options)
        if getattr(model.config, "is_encoder_decoder", False):
            model = model.get_encoder()
        return model.to(device=self.device, dtype=self.dtype).eval().requires_grad_(False)

    @cached_property
    def max_length(self) -> int:
        """Most tokens that the model can read."""
        limits = [self.tokenizer.model_max_length, getattr(self.config, "max_position_embeddings", None)]
        return min(limit for limit in limits if limit)

    def _load(self, auto: Any, what: str, **options: Any) -> Any:
        if self.gguf_file:
            options["gguf_file"] = self.gguf_file
        if self.folder is None:
            options["revision"] = self.commit
        source = self.name if self.folder is None else str(self.folder)
        try:
            return auto.from_pretrained(source, trust_remote_code=self.trust_remote_code, **options)
        except Exception as error:
            if "trust_remote_code" in str(error):
                raise ValueError(
                    f"{source!r} brings its own code. Pass trust_remote_code=True only if you trust where it came from."
                ) from error
            hint = f" {_NO_PICKLE}" if what == "model" and not self.allow_pickle else ""
            raise ValueError(f"Could not load the {what} of {source!r}: {error}{hint}") from error


def _locate(model: str, gguf_file: str | None) -> tuple[Path | None, str | None]:
    path = Path(model).expanduser()
    if path.is_file() and path.suffix == ".gguf":
        return path.resolve().parent, path.name
    if path.is_file():
        raise ValueError(
            f"model={model!r} is a file of another kind than .gguf. Tables of gene vectors end in .parquet, .csv, .tsv, .npz, "
            ".h5ad or .pickle."
        )
    if path.is_dir():
        path = path.resolve()
        found = sorted(file.name for file in path.glob("*.gguf"))
        if gguf_file and gguf_file not in found:
            raise ValueError(f"gguf_file={gguf_file!r} is not in {str(path)!r} (GGUF files there: {found or 'none'}).")
        if gguf_file is None and found and not (path / "config.json").is_file():
            if len(found) > 1:
                raise ValueError(f"{str(path)!r} has several GGUF files: pass gguf_file= to name one of {found}.")
            gguf_file = found[0]
        return path, gguf_file
    if path.is_absolute() or model.startswith((".", "~")) or model.endswith(".gguf"):
        raise ValueError(f"model={model!r}: there is no such folder or .gguf file.")
    return None, gguf_file


def _has_tokenizer(folder: Path) -> bool:
    patterns = ("tokenizer*.json", "*.model", "vocab.*", "*.tiktoken", "tokeniz*.py")
    return any(file.name != "tokenizer_config.json" for pattern in patterns for file in folder.glob(pattern))


def hash_folder(folder: Path, gguf_file: str | None = None) -> str:
    """Return a short hash of the files that decide what a local model computes."""
    files = [folder / gguf_file] if gguf_file else sorted(f for f in folder.iterdir() if f.suffix in _HASHED_SUFFIXES)
    digest = hashlib.sha256()
    for file in files:
        stat = file.stat()
        digest.update(f"{file.name}:{_hash_file(file, stat.st_size, stat.st_mtime_ns)};".encode())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=256)
def _hash_file(file: Path, size: int, mtime_ns: int) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
