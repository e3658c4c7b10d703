"""Spark sessions for tests, on this machine alone, one at a time in one JVM."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

# For a JVM that lives half a minute.
_LIGHT = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
#: What keeps a small job small, and to this machine.
SETTINGS = {
    "spark.driver.extraJavaOptions": _LIGHT,
    "spark.executor.extraJavaOptions": _LIGHT,
    "spark.sql.codegen.wholeStage": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "1g",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "2",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


class SparkSessions:
    """Where tests have their sessions from."""

    def __init__(self) -> None:
        self._session: Any = None
        self._master = ""

    def get(self, master: str = "local[2]") -> Any:
        """A session on a master; another one's is stopped."""
        import pyspark
        from pyspark.sql import SparkSession

        if master != self._master:
            self.stop()
            # Workers of a local cluster are started by the scripts of the package.
            os.environ.setdefault("SPARK_HOME", str(Path(pyspark.__file__).parent))
            builder = SparkSession.builder.master(master).appName("predclv tests")
            for name, value in SETTINGS.items():
                builder = builder.config(name, value)
            self._session, self._master = builder.getOrCreate(), master
            self._session.sparkContext.setLogLevel("OFF")
        return self._session

    def stop(self) -> None:
        """Stop the session, if there is one."""
        if self._session is not None:
            self._session.stop()
        self._session, self._master = None, ""

    def close(self) -> None:
        """Stop the session, and wait until the JVM has ended."""
        self.stop()
        from pyspark import SparkContext

        gateway = SparkContext._gateway
        if gateway is not None:
            gateway.shutdown()
            gateway.proc.stdin.close()
            gateway.proc.wait(60)
            SparkContext._gateway = SparkContext._jvm = None
