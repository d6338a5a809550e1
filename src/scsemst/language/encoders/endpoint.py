"""Texts through an OpenAI-compatible `/v1/embeddings` endpoint: vLLM, text-embeddings-inference, Ollama, OpenAI."""

from __future__ import annotations

import os
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from scsemst._checks import require_integer, require_positive, require_string

from .base import Encoder, require_vectors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# What the client and reading its answer raise where the body is no JSON, or not that of embeddings
_NO_EMBEDDINGS = (AttributeError, TypeError, ValueError)


class EndpointEncoder(Encoder):
    """Asks a server for vectors, several requests at a time.

    The `openai` client repeats requests that meet 429, 5xx or a timeout, backing off longer each time and
    minding `Retry-After`.

    Parameters
    ----------
    model
        The server's name of the model.
    base_url
        Address of the server, up to and including `/v1`.
    api_key_env
        Name of the environment variable that holds the key. The key goes nowhere but into the request.
    batch_size
        Texts per request.
    max_concurrency
        Requests under way at a time.
    timeout
        Seconds to wait for an answer before asking again.
    max_retries
        How often a request is repeated before giving up.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str,
        api_key_env: str = "OPENAI_API_KEY",
        batch_size: int = 32,
        max_concurrency: int = 8,
        timeout: float = 60.0,
        max_retries: int = 8,
    ) -> None:
        require_string(base_url, name="base_url")
        require_string(api_key_env, name="api_key_env")
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"base_url={_public(base_url)!r} is no address such as 'http://localhost:8000/v1'.")
        self.model = model
        self.base_url = base_url
        self.api_key_env = api_key_env
        self.batch_size = require_integer(batch_size, name="batch_size", minimum=1)
        self.max_concurrency = require_integer(max_concurrency, name="max_concurrency", minimum=1)
        self.timeout = require_positive(timeout, name="timeout")
        self.max_retries = require_integer(max_retries, name="max_retries", minimum=0)

    @property
    def id(self) -> str:
        """Address, without any credentials in it, and model."""
        return f"endpoint:{_public(self.base_url)}/{self.model}"

    def batches(self, texts: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield positions and vectors as the answers come.

        Raises
        ------
        ConnectionError
            If the server stays unreachable or busy; what has been answered before is yielded first.
        ValueError
            If the server refuses the request or its answer does not fit.
        """
        order = np.argsort([-len(text) for text in texts], kind="stable")
        waiting = (order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size))
        running: dict[Future[np.ndarray], np.ndarray] = {}
        failure: Exception | None = None
        client = self._client()
        executor = ThreadPoolExecutor(self.max_concurrency, thread_name_prefix="scsemst-endpoint")
        try:
            while True:
                if failure is None:
                    for positions in islice(waiting, self.max_concurrency - len(running)):
                        running[executor.submit(self._request, client, [texts[i] for i in positions])] = positions
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    positions = running.pop(future)
                    try:
                        vectors = future.result()
                    except (ConnectionError, ValueError) as error:
                        failure = failure or error
                        continue
                    yield positions, vectors
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
            client.close()
        if failure is not None:
            raise failure

    def _client(self) -> Any:
        try:
            import openai
        except ImportError as error:
            raise ImportError("An endpoint needs the openai client: pip install 'scsemst[endpoint]'.") from error
        # Servers of one's own ask for no key, but the client wants one.
        key = self._key() or "none"
        if not (key.isascii() and key.isprintable() and " " not in key):  # the client would quote it in its log
            raise ValueError(
                f"The environment variable {self.api_key_env} holds spaces or characters that no key has. Set it again."
            )
        return openai.OpenAI(base_url=self.base_url, api_key=key, timeout=self.timeout, max_retries=self.max_retries)

    def _request(self, client: Any, texts: list[str]) -> np.ndarray:
        import openai

        failure: Exception
        try:
            answer = client.embeddings.create(model=self.model, input=texts, encoding_format="float")
        except openai.APIStatusError as error:
            failure = self._refusal(error.status_code, str(error))
        except openai.APITimeoutError:
            failure = ConnectionError(
                f"{self.id} did not answer within {self.timeout:g} s, {self.max_retries + 1} times in a row. "
                "Vectors received so far are in the cache: run again to go on, perhaps with a smaller batch_size."
            )
        except openai.APIConnectionError as error:
            failure = ConnectionError(
                f"{self.id} cannot be reached ({type(error.__cause__ or error).__name__}). Is the server running, and "
                "is base_url right (up to and including /v1)?"
            )
        except (openai.OpenAIError, *_NO_EMBEDDINGS) as error:
            failure = self._misfit(self._redact(str(error)))
        else:
            return self._vectors(answer, texts)
        raise failure  # outside the handlers: the client's errors, which hold the request, are not chained

    def _refusal(self, status: int, message: str) -> Exception:
        if status in (401, 403):
            return ValueError(
                f"{self.id} refused the key (HTTP {status}). Set the environment variable {self.api_key_env}."
            )
        message = self._redact(message)
        if status in (408, 409, 429) or status >= 500:
            return ConnectionError(
                f"{self.id} still answers HTTP {status} after {self.max_retries} retries: {message}. Vectors received "
                "so far are in the cache: run again later to go on."
            )
        return ValueError(f"{self.id} refused the request (HTTP {status}): {message}")

    def _misfit(self, reason: str) -> ValueError:
        return ValueError(
            f"{self.id} gave no valid answer: {reason}. Is base_url right (up to and including /v1), and is this a model of "
            "embeddings?"
        )

    def _vectors(self, answer: Any, texts: list[str]) -> np.ndarray:
        try:
            data = list(answer.data or [])
            if any(item.index is not None for item in data):  # servers that do not count keep the order
                data.sort(key=lambda item: item.index)
            rows = [np.asarray(item.embedding, dtype=np.float32) for item in data]
        except _NO_EMBEDDINGS as error:
            raise self._misfit(f"{type(error).__name__}: {error}") from None
        if any(row.ndim != 1 or not row.size for row in rows):
            raise self._misfit("embeddings that are no lists of numbers")
        sizes = {row.size for row in rows}
        if len(rows) != len(texts) or len(sizes) != 1:
            raise ValueError(
                f"{self.id} answered {len(texts)} texts with {len(rows)} vectors of dimensions {sorted(sizes)}."
            )
        vectors = np.stack(rows)
        return require_vectors(vectors, name=self.id, fix="Check the server's model and precision.")

    def _key(self) -> str:
        return os.environ.get(self.api_key_env, "").strip()

    def _redact(self, message: str) -> str:
        key = self._key()
        return message.replace(key, "***") if key else message


def _public(url: str) -> str:
    """Return an address without user, password, query and fragment, where keys may hide."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"
