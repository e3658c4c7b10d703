"""CDNOW and the donations data, from the files of the package lifetimes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pandas as pd

__all__ = ["load_cdnow", "load_cdnow_master", "load_donations"]

_LOG_COLUMNS = ["customer_id", "date", "quantity", "amount"]


def load_cdnow() -> pd.DataFrame:
    """CDNOW purchase log, the 1/10th sample: 2,357 customers who first bought in the first quarter of 1997.

    Returns
    -------
    pandas.DataFrame
        6,919 rows to 1998-06-30: customer_id (the sample's own number, 1 to 2,357), date, quantity (CDs), amount (USD).

    Raises
    ------
    ImportError
        The package lifetimes, which ships the file, is absent.

    References
    ----------
    Fader & Hardie (2001), "Forecasting Repeat Sales at CDNOW", Interfaces 31(3).
    """
    columns = ["master_id", *_LOG_COLUMNS]
    log = pd.read_csv(_find("CDNOW_sample.txt"), sep=r"\s+", header=None, names=columns)
    return _tidy(log)


def load_cdnow_master() -> pd.DataFrame:
    """CDNOW purchase log of the whole cohort: 23,570 customers, 69,659 rows, columns as `load_cdnow`."""
    log = pd.read_csv(_find("CDNOW_master.txt"), sep=r"\s+", skiprows=1, header=None, names=_LOG_COLUMNS)
    return _tidy(log)


def load_donations() -> pd.DataFrame:
    """Donations to a non-profit by its 1995 cohort, 1996 to 2001: 11,104 people in 22 distinct histories.

    Returns
    -------
    pandas.DataFrame
        frequency (years with a gift), recency (year of the last one), periods (years), weights (people).

    Raises
    ------
    ImportError
        The package lifetimes, which ships the file, is absent.

    References
    ----------
    Fader, Hardie & Shang (2010), Marketing Science 29(6), Table 1.
    """
    return pd.read_csv(_find("donations.csv"))


def _tidy(log: pd.DataFrame) -> pd.DataFrame:
    log["date"] = pd.to_datetime(log["date"].astype(str), format="%Y%m%d")
    return log[_LOG_COLUMNS]


def _find(name: str) -> Path:
    # Found without being imported: lifetimes.datasets needs pkg_resources, which new environments lack.
    package = importlib.util.find_spec("lifetimes")
    for folder in () if package is None else package.submodule_search_locations or ():
        file = Path(folder) / "datasets" / name
        if file.is_file():
            return file
    raise ImportError(f"{name} comes with the package lifetimes: pip install 'predclv[lifetimes]'")
