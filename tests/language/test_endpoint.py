"""A real HTTP server on loopback serves real MiniLM vectors, and fails, stalls and limits the rate on purpose."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scsemst import settings
from scsemst.language.cache import EmbeddingCache
from scsemst.language.encoders import get_encoder
from scsemst.language.encoders.cached import CachedEncoder
from scsemst.language.encoders.endpoint import EndpointEncoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = "sk-never-show-this-key-1234567890"
TEXTS = [f"{name}: marker number {i}" for i in range(8) for name in ("GFAP", "MBP", "SNAP25", "PVALB")]


# Of answers that are no embeddings, such as those of an address that is not the API's
BODIES: dict[str, Callable[[list[dict[str, Any]]], object]] = {
    "page": lambda _: b"<html>Please log in</html>",
    "no JSON": lambda _: b"{",
    "empty": lambda _: b"",
    "null": lambda _: None,
    "list": lambda data: data,
    "no list": lambda data: {"data": {"0": data[0]}},
    "null vector": lambda data: {"data": [{**item, "embedding": None} for item in data]},
    "base64": lambda data: {"data": [{**item, "embedding": "ILwJ"} for item in data]},
    "half an index": lambda data: {"data": [{**data[0], "index": None}, *data[1:]]},
    "no numbers": lambda data: {"data": [{**item, "embedding": []} for item in data]},
    "nested": lambda data: {"data": [{**item, "embedding": [item["embedding"]]} for item in data]},
}


class Server(ThreadingHTTPServer):
    """Answers `/v1/embeddings`; `troubles` are used up, one per request, before answers are right."""

    daemon_threads = True

    def __init__(self, vectors: dict[str, np.ndarray]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.vectors = vectors
        self.troubles: list[str] = []
        self.always: str | None = None
        self.lock = threading.Lock()
        self.requests: list[list[str]] = []
        self.answered: Counter[str] = Counter()
        self.keys: set[str] = set()
        self.running = self.most_running = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            server.requests.append(asked["input"])
            server.keys.add(self.headers["Authorization"])
            trouble = server.always or (server.troubles.pop() if server.troubles else None)
            server.running += 1
            server.most_running = max(server.running, server.most_running)
        try:
            self.answer(asked, trouble)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client gave up on a stalled answer
        finally:
            with server.lock:
                server.running -= 1

    def answer(self, asked: dict[str, Any], trouble: str | None) -> None:
        if trouble == "stall":
            time.sleep(1.5)
        elif trouble == "drop":
            self.close_connection = True
            return
        elif trouble is not None and trouble.isdigit():
            message = f"trouble with {self.headers['Authorization']}"
            self.send(int(trouble), {"error": {"message": message, "type": "trouble"}})
            return
        time.sleep(0.02)
        embeddings = [self.server.vectors[text].tolist() for text in asked["input"]]
        if trouble == "ragged":
            embeddings[-1] = embeddings[-1][:100]
        elif trouble == "nan":
            embeddings[-1][0] = float("nan")
        elif trouble == "few":
            embeddings = embeddings[:-1]
        data = [{"object": "embedding", "index": i, "embedding": e} for i, e in enumerate(embeddings)]
        if trouble in BODIES:
            self.send(200, BODIES[trouble](data))
            return
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        with self.server.lock:
            self.server.answered.update(asked["input"])
        self.send(200, {"object": "list", "model": asked["model"], "data": data[::-1], "usage": usage})

    def send(self, status: int, body: object) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if status == 429:
            self.send_header("Retry-After", "0.1")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def vectors(minilm: Path) -> dict[str, np.ndarray]:
    encoded = get_encoder(minilm, cache=False, device="cpu").encode(TEXTS)
    return dict(zip(TEXTS, encoded, strict=True))


@pytest.fixture
def server(vectors: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with Server(vectors) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def encoder(server: Server, **options: Any) -> EndpointEncoder:
    options = {"batch_size": 4, "timeout": 0.8, "max_retries": 4} | options
    return EndpointEncoder("minilm", base_url=server.base_url, **options)


def test_failures_stalls_and_rate_limits_are_ridden_out(server: Server, vectors: dict[str, np.ndarray]):
    server.troubles = ["500", "429", "stall", "429", "503", "drop"]
    encoded = encoder(server).encode(TEXTS)
    np.testing.assert_array_equal(encoded, np.stack([vectors[text] for text in TEXTS]))
    assert server.troubles == []
    assert server.keys == {f"Bearer {KEY}"}
    assert 2 <= server.most_running <= 8


def test_run_broken_off_by_the_server_is_resumed(server: Server, tmp_path: Path):
    def run(**options: Any) -> np.ndarray:
        return CachedEncoder(encoder(server, max_concurrency=1, **options), EmbeddingCache(tmp_path)).encode(TEXTS)

    class Failing(list):
        """After three requests nothing but errors."""

        def __bool__(self) -> bool:
            return len(server.requests) > 3

        def pop(self) -> str:
            return "500"

    server.troubles = Failing()
    with pytest.raises(ConnectionError, match="still answers HTTP 500"):
        run(max_retries=1)
    assert sum(server.answered.values()) == 12
    server.troubles = []
    run()
    assert set(server.answered.values()) == {1}
    asked = len(server.requests)
    run()
    assert len(server.requests) == asked


@pytest.mark.parametrize("status", ["400", "401", "429", "500"])
def test_the_key_shows_nowhere(
    status: str, server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    import traceback

    caplog.set_level(logging.DEBUG)
    cache = EmbeddingCache(tmp_path)
    CachedEncoder(encoder(server), cache).encode(TEXTS[:2])
    server.always = status
    with pytest.raises((ValueError, ConnectionError), match="OPENAI_API_KEY" if status == "401" else status) as caught:
        CachedEncoder(encoder(server, max_retries=0), cache).encode(TEXTS)
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text + "".join(capfd.readouterr())
    assert KEY not in shown
    assert KEY.encode() not in cache.path.read_bytes()


def test_the_key_does_not_get_into_adata(server: Server, vectors: dict[str, np.ndarray], tmp_path: Path):
    import anndata as ad
    import pandas as pd

    import scsemst

    texts = pd.DataFrame({"text": TEXTS[:4]}, index=["GFAP", "MBP", "SNAP25", "PVALB"])
    adata = ad.AnnData(np.eye(4, dtype=np.float32) + 1, var=pd.DataFrame(index=texts.index))
    host = server.base_url.removeprefix("http://")
    address = f"http://{KEY}:{KEY}@{host}?key={KEY}#{KEY}"
    scsemst.pp.gene_semantics(adata, model="minilm", base_url=address, texts=texts, template="{text}")
    adata.write_h5ad(tmp_path / "adata.h5ad")
    assert KEY not in str(adata.uns)
    assert KEY.encode() not in (tmp_path / "adata.h5ad").read_bytes()
    assert adata.uns["X_gene_semantics"]["model"].startswith("endpoint:http://127.0.0.1")


@pytest.mark.parametrize("spoilt", [f"{KEY}\n{KEY}", KEY + "\u00e9", f"{KEY} {KEY}"])
def test_a_key_that_no_header_can_hold(
    spoilt: str,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
):
    """The client's own log would quote the header."""
    import traceback

    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OPENAI_API_KEY", spoilt)
    with pytest.raises(ValueError, match="OPENAI_API_KEY holds spaces or characters") as caught:
        encoder(server, max_retries=0).encode(TEXTS[:2])
    assert KEY not in "".join(traceback.format_exception(caught.value)) + caplog.text + "".join(capfd.readouterr())


def test_address_in_messages_has_no_credentials():
    address = "http://user:secret@127.0.0.1:9/v1?key=secret"
    unreachable = EndpointEncoder("minilm", base_url=address, max_retries=0, timeout=1)
    assert unreachable.id == "endpoint:http://127.0.0.1:9/v1/minilm"
    with pytest.raises(ConnectionError, match="cannot be reached") as caught:
        unreachable.encode(["GFAP"])
    assert "secret" not in str(caught.value)
    with pytest.raises(ValueError, match="no address such as"):
        EndpointEncoder("minilm", base_url="localhost:8000")


def test_stalled_for_good(server: Server):
    server.always = "stall"
    with pytest.raises(ConnectionError, match=r"did not answer within 0.2 s, 2 times in a row"):
        encoder(server, timeout=0.2, max_retries=1).encode(TEXTS[:4])


@pytest.mark.parametrize(
    ("trouble", "message"),
    [("ragged", r"dimensions \[100, 384\]"), ("nan", "NaN or infinite"), ("few", "answered 4 texts with 3 vectors")],
)
def test_answers_that_do_not_fit(trouble: str, message: str, server: Server, tmp_path: Path):
    server.always = trouble
    cache = EmbeddingCache(tmp_path)
    with pytest.raises(ValueError, match=message):
        CachedEncoder(encoder(server), cache).encode(TEXTS)
    assert cache.info().n_vectors == {}


@pytest.mark.parametrize("trouble", BODIES)
def test_answers_that_are_no_embeddings(trouble: str, server: Server):
    server.always = trouble
    with pytest.raises(ValueError, match=r"endpoint:http://127.0.0.1:\d+/v1/minilm (gave no valid answer|answered 4)"):
        encoder(server).encode(TEXTS[:4])


def test_one_bad_answer_does_not_cost_the_good_ones(server: Server, tmp_path: Path):
    server.troubles = ["null vector"]
    cache = EmbeddingCache(tmp_path)
    with pytest.raises(ValueError, match="gave no valid answer"):
        CachedEncoder(encoder(server, max_concurrency=4), cache).encode(TEXTS[:16])
    assert list(cache.info().n_vectors.values()) == [12]


def test_servers_that_do_not_count(server: Server, vectors: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch):
    server.always = "no index"
    monkeypatch.setitem(BODIES, "no index", lambda data: {"data": [{**item, "index": None} for item in data]})
    np.testing.assert_array_equal(encoder(server).encode(TEXTS[:4])[1], vectors[TEXTS[1]])


def test_options_that_make_no_sense():
    address = "http://127.0.0.1:1/v1"
    for bad, error in (
        ({"timeout": "a"}, TypeError),
        ({"timeout": -1}, ValueError),
        ({"api_key_env": None}, TypeError),
    ):
        with pytest.raises(error, match=next(iter(bad))):
            EndpointEncoder("minilm", base_url=address, **bad)
    with pytest.raises(TypeError, match="base_url must be a string"):
        EndpointEncoder("minilm", base_url=5)
    for bad in ({"pooling": "last"}, {"max_length": 4}, {"dtype": "float16"}, {"revision": "main"}):
        with pytest.raises(TypeError, match=rf"{next(iter(bad))}= would change nothing"):
            get_encoder("minilm", base_url=address, **bad)


def test_model_changed_behind_its_name(server: Server, vectors: dict[str, np.ndarray], tmp_path: Path):
    CachedEncoder(encoder(server), EmbeddingCache(tmp_path)).encode(TEXTS[:2])
    server.vectors = {text: vector[:100] for text, vector in vectors.items()}
    with pytest.raises(ValueError, match="384 dimensions: the model behind this name has changed"):
        CachedEncoder(encoder(server), EmbeddingCache(tmp_path)).encode(TEXTS[:4])


def test_get_encoder_takes_an_endpoint(server: Server, vectors: dict[str, np.ndarray]):
    chosen = get_encoder("minilm", base_url=server.base_url, batch_size=16)
    np.testing.assert_array_equal(chosen.encode(TEXTS[:3])[2], vectors[TEXTS[2]])
    assert chosen.id in EmbeddingCache(settings.cache_dir).info().n_vectors
