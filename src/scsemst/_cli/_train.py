"""`scsemst train`: from one h5ad file to another, by one process or, under torchrun, by several."""

from __future__ import annotations

import inspect
import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _keys
from .._checks import as_generator, require_new_key
from .._results import require_apart, require_unused

if TYPE_CHECKING:
    import argparse

    from anndata import AnnData

    from .._model import SemST
    from ..distributed import World
    from ..training.run import Run

# Options that tl.semst has under the same name
SAME = (
    "layer",
    "n_top_genes",
    "likelihood",
    "preset",
    "n_latent",
    "epochs",
    "batch_size",
    "precision",
    "checkpoint_dir",
    "checkpoint_minutes",
    "device",
    "neighbors_key",
    "batch_key",
    "integrate",
    "key_added",
)


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to the command line."""
    train = commands.add_parser(
        "train",
        help="train on an h5ad file, with torchrun on several devices or machines",
        description="tl.semst on an h5ad file whose expression is never loaded whole. Under torchrun, every process "
        "holds its parts of the tissue only. The spatial graph (six nearest neighbours) and the gene semantics are "
        "computed if the file has none. Options are those of tl.semst.",
    )
    train.add_argument("input", type=Path, help="h5ad file with raw counts")
    train.add_argument("output", type=Path, help="h5ad file to write: the input with the results")
    train.add_argument("--n-domains", type=_number_or_auto, metavar="N", help="number of domains, or auto")
    train.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    train.add_argument("--semantics-key", default=_keys.GENE_SEMANTICS, metavar="KEY", help="key in obsm")
    train.add_argument("--no-semantics", action="store_true", help="train without semantics")
    train.add_argument("--neighbors-key", metavar="KEY", help="key of the spatial graph in obsp")
    train.add_argument("--batch-key", metavar="KEY", help="column of obs with the slice of each spot")
    train.add_argument("--integrate", choices=("harmony",), help="correct the latent space for slices once more")
    train.add_argument("--layer", help="layer with the raw counts (default: X)")
    train.add_argument("--n-top-genes", type=int, metavar="N")
    train.add_argument("--likelihood", choices=("zinb", "nb", "poisson", "gaussian"))
    train.add_argument("--preset", choices=("default", "paper"))
    train.add_argument("--n-latent", type=int, metavar="N")
    train.add_argument("--epochs", type=int, metavar="N")
    train.add_argument("--batch-size", type=int, metavar="N", help="most spots of a part of the tissue")
    train.add_argument(
        "--parts-per-step",
        type=int,
        metavar="N",
        help="parts whose gradients a step averages (default: one for each process)",
    )
    train.add_argument("--precision", choices=("float32", "bf16"))
    train.add_argument("--checkpoint-dir", type=Path, metavar="FOLDER", help="where to go on from if interrupted")
    train.add_argument("--checkpoint-minutes", type=float, metavar="MINUTES")
    train.add_argument("--device", help="auto, cpu, cuda (default: auto)")
    train.add_argument("--key-added", metavar="KEY")
    train.add_argument("--save-model", type=Path, metavar="FOLDER", help="keep the model, for tl.predict")
    train.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, and write the output."""
    if args.input.is_dir():
        raise SystemExit(
            f"{str(args.input)!r} is a folder. Only h5ad files can be read: anndata.read_zarr(path).write_h5ad(other)."
        )
    if not args.input.is_file():
        raise SystemExit(f"There is no file {str(args.input)!r}.")
    if args.output.suffix == ".zarr":
        raise SystemExit(f"{str(args.output)!r}: an h5ad file is written, no zarr store. Give it another name.")
    if args.output.is_dir():
        raise SystemExit(f"{str(args.output)!r} is a folder. Name the h5ad file to write.")
    if not args.output.resolve().parent.is_dir():
        raise SystemExit(f"There is no folder {str(args.output.resolve().parent)!r} to write to.")
    _require_h5ad(args.input)
    if args.save_model is not None:
        _require_model_folder(args.save_model, args.integrate)
    from ..distributed import join

    logging.basicConfig(format="%(message)s")
    options = _options(args)
    try:
        with join(options["device"]) as world:
            per_step = world.size if args.parts_per_step is None else args.parts_per_step
            if per_step < world.size:
                raise ValueError(f"--parts-per-step must be at least {world.size}, one per process, found {per_step}.")
            _train(args, options, world, per_step)
    except (KeyError, ValueError, TypeError, FloatingPointError) as error:  # the messages say what to do
        raise SystemExit(f"scsemst train: {error.args[0] if error.args else error}") from error
    except OSError as error:  # a folder that may not be written to, a full disk
        raise SystemExit(f"scsemst train: {error}") from error
    except KeyboardInterrupt as error:  # says how to go on
        raise SystemExit(f"scsemst train: {error or 'interrupted'}") from None
    return 0


def _require_h5ad(path: Path) -> None:
    """Raise unless a file is of the kind that AnnData writes."""
    import h5py

    try:
        with h5py.File(path) as file:
            if {"obs", "var"} <= set(file):
                return
    except OSError as error:
        if h5py.is_hdf5(path):
            raise SystemExit(f"{str(path)!r} cannot be read: {error}. Write or copy it again.") from error
    raise SystemExit(
        f"{str(path)!r} is no h5ad file. Read it with scanpy or squidpy, and write it with adata.write_h5ad(path)."
    )


def _require_model_folder(path: Path, integrate: str | None) -> None:
    """Raise unless a model can be made, and written there."""
    from .._folders import as_folder, require_ours
    from ..reuse.storage import MODEL

    if integrate is not None:
        raise SystemExit(
            f"--integrate {integrate} corrects the spots at hand and has no rule for others: no model can be made of it. "
            "Leave out --save-model or --integrate."
        )
    try:
        require_ours(as_folder(path), MODEL)
    except (ValueError, OSError) as error:
        raise SystemExit(f"scsemst train: {error}") from error


def _train(args: argparse.Namespace, options: dict[str, Any], world: World, per_step: int) -> None:
    from contextlib import nullcontext

    import h5py

    from ..distributed import open_slice, prepare, train_shared, working_file
    from ..distributed.output import write_results
    from ..training.run import check_options, run, write

    key = options.pop("key_added")
    check_options(options)
    as_generator(options["rng"])
    require_new_key(key, name="--key-added")
    require_apart(key, options["semantics_key"])
    options["device"] = str(world.device)
    with working_file(args.input, args.output) if world.leads else nullcontext() as path:
        if world.leads:
            with h5py.File(path, "r+") as file:
                prepare(file, options)
        path = Path(world.share({"path": str(path and path.resolve())})[0]["path"])
        with h5py.File(path) as file:
            adata = open_slice(file, options)
            require_unused(adata, key, batch_key=options["batch_key"])
            shared = partial(train_shared, world=world, parts_per_step=per_step)
            done = run(adata, args.n_domains if world.leads else None, options, train=shared)
            model = _model(adata, done, options) if args.save_model and world.leads else None
        world.wait()  # no process reads any more
        if world.leads:
            write(adata, done, key)
            trained: Any = done.trained  # of `train_shared`
            adata.uns[key]["processes"] = {"parts_per_step": per_step, **trained.held}
            with h5py.File(path, "r+") as file:
                write_results(file, adata, key)
            if model is not None:
                model.save(args.save_model)
    done.remove_checkpoint()


def _model(adata: AnnData, done: Run, options: dict[str, Any]) -> SemST:
    """Return the model; it embeds the slice once more, on the processor."""
    from .._model import SemST
    from ..reuse.parts import gather

    read = {name: options[name] for name in ("layer", "neighbors_key", "batch_size")}
    return SemST(gather(adata, done, **read, rng=as_generator(options["rng"])))


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """Return all options of `tl.semst`, its defaults where none was given."""
    from ..tl import semst

    given = {name: getattr(args, name) for name in SAME if getattr(args, name) is not None}
    semantics_key = None if args.no_semantics else args.semantics_key
    bound = inspect.signature(semst).bind(None, args.n_domains, semantics_key=semantics_key, rng=args.seed, **given)
    bound.apply_defaults()
    return {name: value for name, value in bound.arguments.items() if name not in ("adata", "n_domains", "copy")}


def _number_or_auto(text: str) -> int | str:
    import argparse

    try:
        return text if text == "auto" else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a whole number nor auto") from None
