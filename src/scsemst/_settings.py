"""Package-wide settings."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_path

__all__ = ["Settings", "settings"]


class Settings:
    """Settings shared by all functions; change them on `scsemst.settings`.

    Examples
    --------
    >>> import scsemst
    >>> scsemst.settings.cache_dir.name
    'scsemst'
    """

    def __init__(self) -> None:
        self._cache_dir = user_cache_path("scsemst")

    @property
    def cache_dir(self) -> Path:
        """Folder of downloaded files and of cached text embeddings."""
        return self._cache_dir

    @cache_dir.setter
    def cache_dir(self, path: str | Path) -> None:
        self._cache_dir = Path(path).expanduser()

    def __repr__(self) -> str:
        return f"Settings(cache_dir={str(self.cache_dir)!r})"


settings = Settings()
