"""Spark's sessions: which interpreter its workers run, and one to work in where nobody made one."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from predclv.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["require_java", "require_spark", "session", "workers_python"]

# Of two threads, one would else put back what the other has yet to read, or keep for good what was set in passing.
_INTERPRETER = threading.RLock()


def require_spark(what: str) -> None:
    """Raise ImportError where PySpark is not installed."""
    if importlib.util.find_spec("pyspark") is None:
        raise ImportError(f"{what} needs PySpark: pip install 'predclv[spark]'.")


def require_java() -> None:
    """Raise ImportError where there is no Java for Spark to run on."""
    if shutil.which("java") is None and not (Path(os.environ.get("JAVA_HOME", "")) / "bin" / "java").is_file():
        raise ImportError("--engine spark needs Java 17 or newer: install it, or say where it is by JAVA_HOME.")


@contextmanager
def workers_python(spark: SparkSession) -> Iterator[None]:
    """Let workers of what is built in the block run this interpreter, unless the user has named one.

    Spark's own default is any "python3" on the path, which may be another and have no predclv. One thread at a time
    is in the block, so it should do no more than build.
    """
    if type(spark).__module__.startswith("pyspark.sql.connect") or "PYSPARK_PYTHON" in os.environ:
        # Where the session is remote, its server says what the workers run.
        yield
        return
    context = spark.sparkContext
    with _INTERPRETER:
        before = context.pythonExec
        context.pythonExec = context.getConf().get("spark.pyspark.python") or sys.executable
        try:
            yield
        finally:
            context.pythonExec = before


@contextmanager
def session() -> Iterator[SparkSession]:
    """Yield the active session, or one made as Spark is configured, which is stopped in the end."""
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    if active is not None:
        yield active
        return
    # The bar would be written over lines of progress.
    builder = SparkSession.builder.appName("predclv score").config("spark.ui.showConsoleProgress", "false")
    try:
        spark = builder.getOrCreate()
    except PySparkException as error:
        raise DataError(f"Spark does not start: {str(error).splitlines()[0]}") from error
    try:
        spark.sparkContext.setLogLevel("ERROR")
        yield spark
    finally:
        spark.stop()
