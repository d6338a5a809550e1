"""Feed files of strangers to their readers, guided by coverage: `pip install atheris`, then

    python scripts/fuzz.py csv -max_total_time=60

Targets are the formats of tables (csv, npz, parquet, h5ad), the configuration and the weights of a model (config,
weights) and the cache of texts (cache). What comes out must be a sound result or a documented error; anything else ends the
run, and libFuzzer writes the input that did it. Further arguments are libFuzzer's.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import atheris
import numpy as np
import pandas as pd

with atheris.instrument_imports(include=["scsemst"], enable_loader_override=False):
    import scsemst
    import scsemst.reuse.storage  # imported here to be instrumented
    from scsemst.language.cache import EmbeddingCache
    from scsemst.language.tables import read_table

FORMATS = ("csv", "npz", "parquet", "h5ad")
TEXTS = [f"gene {i}" for i in range(5)]


def small_table(folder: Path, suffix: str) -> Path:
    """Write a sound table, the first input."""
    table = pd.DataFrame(np.arange(8.0).reshape(4, 2), [f"GENE{i}" for i in range(4)], ["a", "b"])
    path = folder / f"table.{suffix}"
    if suffix == "csv":
        table.to_csv(path)
    elif suffix == "npz":
        np.savez(path, genes=table.index.to_numpy(dtype=str), vectors=table.to_numpy())
    elif suffix == "parquet":
        table.to_parquet(path)
    else:
        import anndata as ad

        ad.AnnData(table).write_h5ad(path)
    return path


def small_model(folder: Path) -> dict:
    """Write a sound model and return its configuration."""
    import scipy.sparse
    import squidpy as sq

    rng = np.random.default_rng(0)
    adata = scsemst.datasets.dlpfc()[:40, :20].copy()
    adata.X = scipy.sparse.csr_matrix(rng.poisson(2.0, adata.shape).astype(np.float32))
    sq.gr.spatial_neighbors_knn(adata, n_neighs=4)
    scsemst.SemST.from_adata(adata, 2, semantics_key=None, epochs=1, progress=False).save(folder)
    return json.loads((folder / "config.json").read_text())


def read(path: Path) -> None:
    """Read a table, or refuse it by name."""
    try:
        table = read_table(path)
    except ValueError as error:
        if path.name not in str(error):
            raise
    else:
        if not (np.isfinite(table.vectors).all() and len(table.names) == len(table.vectors)):
            raise AssertionError(f"unsound: {table}")


def load(folder: Path) -> None:
    """Read a model, or refuse it by the name of its folder."""
    try:
        scsemst.SemST.load(folder)
    except (ValueError, FileNotFoundError) as error:
        if str(folder) not in str(error):
            raise


def target(name: str, folder: Path) -> tuple[bytes, Callable[[bytes], None]]:
    """Return a sound input, and what to do with an input."""
    if name in FORMATS:
        path = small_table(folder, name)
        return path.read_bytes(), lambda data: (path.write_bytes(data), read(path))
    if name == "cache":
        cache = EmbeddingCache(folder / "cache")
        cache.write("encoder", TEXTS, np.ones((5, 3), dtype=np.float32))

        def use(data: bytes) -> None:
            cache.path.write_bytes(data)
            for positions, found in cache.read("encoder", TEXTS):
                if found.dtype != np.float32 or len(found) != len(positions):
                    raise AssertionError(f"unsound: {found}")

        return cache.path.read_bytes(), use
    config = small_model(folder)
    if name == "config":
        return json.dumps(config).encode(), lambda data: ((folder / "config.json").write_bytes(data), load(folder))

    def weights(data: bytes) -> None:  # with a checksum to match: a stranger would not forget it
        digest = hashlib.sha256(data).hexdigest()
        own = {"weights": f"model-{digest[:16]}.safetensors", "weights_sha256": digest}
        (folder / own["weights"]).write_bytes(data)
        (folder / "config.json").write_text(json.dumps(config | own))
        load(folder)
        (folder / own["weights"]).unlink()

    return (folder / config["weights"]).read_bytes(), weights


def main() -> None:
    name, *options = sys.argv[1:] or ["-h"]
    if name not in (*FORMATS, "config", "weights", "cache"):
        raise SystemExit(__doc__)
    warnings.simplefilter("ignore")
    folder = Path(tempfile.mkdtemp(prefix="scsemst-fuzz-"))
    corpus = folder / "corpus"
    corpus.mkdir()
    try:
        (folder / "files").mkdir()
        first, use = target(name, folder / "files")
        (corpus / "sound").write_bytes(first)
        use(first)
        atheris.Setup([sys.argv[0], "-max_len=65536", *options, str(corpus)], use)
        atheris.Fuzz()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
