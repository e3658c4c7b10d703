"""Cells of all pages run in one process, which each page finds empty: to start one takes longer than most pages do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_cache.executors import utils
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from sphinx.application import Sphinx


class OneKernel:
    """What `nbclient.execute` does, with the kernel of the page before."""

    def __init__(self) -> None:
        self.manager: Any = None

    def execute(self, nb: NotebookNode, cwd: str | None = None, **options: Any) -> NotebookNode:
        """Run a page's cells, in place, in its folder, without the names of other pages."""
        client = NotebookClient(nb=nb, km=self.manager, **options)
        if self.manager is None:
            self.manager, client.owns_km = client.create_kernel_manager(), False
        reset = f"%reset -f\n%cd -q {Path(cwd or '.').resolve()}\nget_ipython().execution_count = 0"
        nb.cells.insert(0, new_code_cell(reset))
        try:
            return client.execute()
        finally:
            nb.cells.pop(0)
            if client.kc is not None:
                client.kc.stop_channels()

    def shut_down(self, *_: object) -> None:
        """End the process, if a page had cells."""
        if self.manager is not None and self.manager.has_kernel:
            run_sync(self.manager.shutdown_kernel)(now=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Run pages that MyST-NB takes for new; those that are built at once have kernels of their own."""
    kernel = OneKernel()
    utils.executenb = kernel.execute
    app.connect("build-finished", kernel.shut_down)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
