"""Long calls say how far they are, short ones and silenced ones say nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from anndata import AnnData
from tqdm.auto import tqdm

import scsemst

from .slices import corner


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[tqdm]:
    """The bars that a call shows, in order."""
    made: list[tqdm] = []
    begin = tqdm.__init__

    def __init__(self: tqdm, *args: object, **options: object):
        begin(self, *args, **options)
        if not self.disable:
            made.append(self)

    monkeypatch.setattr(tqdm, "__init__", __init__)
    return made


@pytest.fixture(scope="module")
def trained() -> tuple[AnnData, scsemst.SemST]:
    adata = corner()
    model = scsemst.SemST.from_adata(adata, 3, epochs=1, progress=False)
    return adata, model


# What is called, and the bars it makes with their lengths
CALLS: dict[str, tuple[Callable[..., object], dict[str, int]]] = {
    "semst": (
        lambda a, _, **o: scsemst.tl.semst(a, 3, epochs=2, batch_size=60, **o),
        {"SemST": 2, "Encoding": 2, "domains": 200},
    ),
    "domains": (lambda a, _, **o: scsemst.tl.domains(a, 3, n_init=7, **o), {"domains": 7}),
    "n_domains": (lambda a, _, **o: scsemst.tl.n_domains(a, [2, 3], n_repeats=2, **o), {"n_domains": 4}),
    "leiden_domains": (lambda a, _, **o: scsemst.tl.leiden_domains(a, 3, **o), {"leiden": 25}),
    "predict": (lambda a, model, **o: scsemst.tl.predict(a, model, **o), {"Encoding": 1}),
}


@pytest.mark.parametrize("name", CALLS)
def test_each_step_has_a_bar(trained: tuple, bars: list, name: str):
    call, totals = CALLS[name]
    call(trained[0].copy(), trained[1])
    assert {bar.desc.removesuffix(": "): bar.total for bar in bars} == totals
    for bar in bars:
        assert not bar.leave
        assert bar.n == bar.total or name == "leiden_domains"  # which stops at the resolution that it looked for


@pytest.mark.parametrize("name", CALLS)
def test_progress_can_be_silenced(trained: tuple, bars: list, name: str, capsys: pytest.CaptureFixture):
    CALLS[name][0](trained[0].copy(), trained[1], progress=False)
    assert not bars
    assert not capsys.readouterr().err
