"""What the functions needed of IAM, kept in files for those who compare it with the functions' roles."""

import json
import os
import threading
from pathlib import Path


class Journal:
    """Rows of JSON in a file of this process's own in the folder that PILOTHOUSE_CALLS names; nothing without it. Each row is
    there once, and is written at once: emulators are killed."""

    def __init__(self, functions, folder=os.environ.get("PILOTHOUSE_CALLS")):
        self._functions = set(functions)
        self._folder = folder and Path(folder)
        self._written = set()
        self._lock = threading.Lock()
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True)

    def note(self, caller, needs, names):
        """Calls of others are a test's own."""
        if not self._folder or caller not in self._functions:
            return
        for need in needs:
            row = json.dumps({"function": caller, **need, "names": names}, sort_keys=True)
            with self._lock:
                if row not in self._written:
                    self._written.add(row)
                    self._write(row)

    def _write(self, row):
        # Process ids come back, so an emulator may go on in the file of an earlier one.
        with open(self._folder / f"{os.getpid()}.jsonl", "a", encoding="utf-8") as file:
            file.write(row + "\n")
