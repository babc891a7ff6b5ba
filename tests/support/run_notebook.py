"""Runs a notebook from its first cell to its last and writes it with its outputs: IN OUT."""

import sys

import nbformat
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], as_version=4)
try:
    NotebookClient(notebook, timeout=180, kernel_name="python3").execute()
finally:
    nbformat.write(notebook, sys.argv[2])
