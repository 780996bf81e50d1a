"""The bytes of volumes and snapshots, where a test has put files under volumes."""

import subprocess
from pathlib import Path

# A device that does not stand still within this will not.
LIMIT_SECONDS = 20


def take(pairs):
    """`[(volume, snapshot)]`: the bytes that all these volumes' files have at one instant, each beside its volume's. What a test has
    given to hold its devices still by is run before the first byte is read, and to let go of them after the last."""
    pairs = [(volume, snapshot) for volume, snapshot in pairs if volume.file]
    try:
        for volume, _ in pairs:
            _run(volume.hold)
        for volume, snapshot in pairs:
            snapshot.file = _beside(volume.file, snapshot.id)
        _copy([(volume.file, snapshot.file) for volume, snapshot in pairs])
    finally:
        for volume, _ in reversed(pairs):
            _run(volume.release, check=False)


def give(volume, snapshot):
    """A volume that is made from a snapshot of a file has one of its own."""
    if snapshot.file:
        volume.file = _beside(snapshot.file, volume.id)
        _copy([(snapshot.file, volume.file)])


def _beside(file, name):
    return str(Path(file).with_name(f"{name}.img"))


def _copy(pairs):
    running = [subprocess.Popen(["cp", "--reflink=auto", "--sparse=always", "--", *pair]) for pair in pairs]
    if any([one.wait() for one in running]):
        raise OSError(f"cannot copy {pairs}")


def _run(command, check=True):
    if command:
        subprocess.run(["sh", "-c", command], check=check, timeout=LIMIT_SECONDS, stdin=subprocess.DEVNULL)
