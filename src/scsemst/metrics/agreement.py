"""Agreement of domains with an annotation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._labels import labelled

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["ari", "completeness", "homogeneity", "nmi"]


def ari(labels: ArrayLike, reference: ArrayLike) -> float:
    """Adjusted Rand index of two labellings.

    Parameters
    ----------
    labels
        Label of each spot, shape `(n_obs,)`; NaN for none.
    reference
        Annotation of each spot, shape `(n_obs,)`; NaN for none.

    Returns
    -------
    Between -0.5 and 1; 0 is expected by chance, 1 is identity. Symmetric.

    References
    ----------
    Hubert & Arabie (1985), Comparing partitions. Journal of Classification 2, 193–218.

    Examples
    --------
    >>> import numpy as np
    >>> from scsemst.metrics import ari
    >>> ari([1, 1, 0, 0, 0], ["a", "a", "b", "b", np.nan])
    1.0
    """
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(*labelled(reference, labels)))


def nmi(labels: ArrayLike, reference: ArrayLike) -> float:
    """Normalised mutual information of two labellings, by the arithmetic mean of their entropies.

    Parameters
    ----------
    labels
        Label of each spot, shape `(n_obs,)`; NaN for none.
    reference
        Annotation of each spot, shape `(n_obs,)`; NaN for none.

    Returns
    -------
    Between 0 and 1. Symmetric; not corrected for chance.

    References
    ----------
    Strehl & Ghosh (2002), Cluster ensembles. Journal of Machine Learning Research 3, 583–617.

    Examples
    --------
    >>> from scsemst.metrics import nmi
    >>> nmi([1, 1, 0, 0], ["a", "b", "a", "b"])
    0.0
    """
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(*labelled(reference, labels)))


def homogeneity(labels: ArrayLike, reference: ArrayLike) -> float:
    """Measure how far each domain holds spots of one annotated class only.

    Parameters
    ----------
    labels
        Label of each spot, shape `(n_obs,)`; NaN for none.
    reference
        Annotation of each spot, shape `(n_obs,)`; NaN for none.

    Returns
    -------
    Between 0 and 1. Not symmetric: it does not suffer from too many domains.

    References
    ----------
    Rosenberg & Hirschberg (2007), V-measure: a conditional entropy-based external cluster evaluation measure.
    EMNLP-CoNLL, 410–420.

    Examples
    --------
    >>> from scsemst.metrics import homogeneity
    >>> round(homogeneity([0, 1, 2, 2], ["a", "a", "b", "b"]), 6)
    1.0
    """
    from sklearn.metrics import homogeneity_score

    return float(homogeneity_score(*labelled(reference, labels)))


def completeness(labels: ArrayLike, reference: ArrayLike) -> float:
    """Measure how far the spots of each annotated class lie in one domain.

    Parameters
    ----------
    labels
        Label of each spot, shape `(n_obs,)`; NaN for none.
    reference
        Annotation of each spot, shape `(n_obs,)`; NaN for none.

    Returns
    -------
    Between 0 and 1. Not symmetric: it does not suffer from too few domains.

    References
    ----------
    Rosenberg & Hirschberg (2007), V-measure: a conditional entropy-based external cluster evaluation measure.
    EMNLP-CoNLL, 410–420.

    Examples
    --------
    >>> from scsemst.metrics import completeness
    >>> round(completeness([0, 0, 0, 0], ["a", "a", "b", "b"]), 6)
    1.0
    """
    from sklearn.metrics import completeness_score

    return float(completeness_score(*labelled(reference, labels)))
