"""Run the tutorials, and keep their outputs where they are committed: `tutorials/*.ipynb`.

    python scripts/run_tutorials.py [--check] [NAME ...]

An error in a cell ends it. What a reader has no use for is not kept: the stderr of libraries, times, versions of this
machine. Pictures are reduced to 256 colours. With `--check`, nothing is written.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
from pathlib import Path
from time import perf_counter

import nbformat
from nbclient import NotebookClient
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[1]
TUTORIALS = REPOSITORY / "tutorials"


def run(path: Path) -> nbformat.NotebookNode:
    """Return the notebook with the outputs of a fresh run in the folder of the tutorials."""
    notebook = nbformat.read(path, as_version=4)
    # Warnings of libraries about each other are for their developers
    os.environ["PYTHONWARNINGS"] = "ignore"
    NotebookClient(
        notebook, timeout=1800, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    ).execute()
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {key: value for key, value in cell.metadata.items() if key == "tags"}
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    output.data["image/png"] = smaller(output.data["image/png"])
    return notebook


def smaller(png: str) -> str:
    """Reduce a picture in base64 to 256 colours."""
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    image.save(buffer, "png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def main() -> None:
    """Run those named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="tutorials, without .ipynb (default: all)")
    parser.add_argument("--check", action="store_true", help="run, but write nothing")
    args = parser.parse_args()
    paths = [TUTORIALS / f"{name}.ipynb" for name in args.names] or sorted(TUTORIALS.glob("*.ipynb"))
    for path in paths:
        start = perf_counter()
        notebook = run(path)
        if not args.check:
            nbformat.write(notebook, path)
        print(f"{path.stem:20}{perf_counter() - start:8.1f} s", flush=True)


if __name__ == "__main__":
    main()
