"""The published files of MNIST and CIFAR-10: where they lie, how they are fetched, checked and parsed.

Files live in the folder that the environment variable ``ADVNB_DATA`` names, else in pooch's cache folder
for ``advnb``. Nothing here unpickles anything, and no file that is already there is ever overwritten: one
that fails its check is reported and left as it is. Downloads go to a temporary name first and take their
place only after their checksum matched, so a broken transfer leaves no file behind.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import os
import tarfile
import zlib
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "HALVES", "AlteredFile", "Bytes", "DataError", "Half", "MissingFile", "Presence", "Published", "TruncatedFile",
    "folder", "parse_idx", "present", "read_cifar10", "read_mnist",
]  # fmt: skip

ENVIRONMENT = "ADVNB_DATA"
Bytes = npt.NDArray[np.uint8]
Half = Literal["train", "test"]
HALVES: tuple[Half, Half] = ("train", "test")
SILENT_SECONDS = 30.0
"""How long a server may send nothing before the next mirror is tried."""


class DataError(RuntimeError):
    """A published data file that cannot be used as it is."""


class TruncatedFile(DataError):
    """A present file that ends too early."""


class AlteredFile(DataError):
    """A present file of the right kind whose contents are not the published ones."""


class MissingFile(DataError):
    """A file that is not on this machine and could not be downloaded."""


class Published(NamedTuple):
    """A published file: size and checksum of its contents, then the checksum of what is fetched.

    MNIST's files are fetched gzipped. The contents decide whether a present file is good, because gzip may pack the
    same bytes in several ways.
    """

    name: str
    size: int
    sha256: str
    fetched_sha256: str


MNIST = {
    "train": (
        Published("train-images-idx3-ubyte", 47_040_016,
                  "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                  "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        Published("train-labels-idx1-ubyte", 60_008,
                  "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                  "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
    ),
    "test": (
        Published("t10k-images-idx3-ubyte", 7_840_016,
                  "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                  "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        Published("t10k-labels-idx1-ubyte", 10_008,
                  "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                  "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ),
}  # fmt: skip
MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)

ARCHIVE_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
CIFAR10 = Published("cifar-10-binary.tar.gz", 170_052_171, ARCHIVE_SHA256, ARCHIVE_SHA256)
CIFAR10_MIRRORS = ("https://www.cs.toronto.edu/~kriz/",)
CIFAR10_FOLDER = "cifar-10-batches-bin"
CIFAR10_FILES = {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]}
RECORDS, RECORD = 10_000, 1 + 3 * 32 * 32
"""Records a file of CIFAR-10; bytes of one: the label, then the red, the green and the blue plane row by row."""

FINGERPRINT = {
    "train": "55a61f79a40ece2ceda9fb5f9f7078f6ea2fc4952489cef56682bcf92cfcc260",
    "test": "325704b01eb92e1e2a6215ae6a916bb7db7de054af0c496be1c7be2e0fcfbf5f",
}
"""The SHA-256 of the sorted SHA-256 digests of all records of a half of CIFAR-10, labels and pixels.

An unpacked copy may hold the records in another order than the published one, and checksums of its six files would
then refuse good data. One changed byte anywhere changes the fingerprint, a permutation of the records does not.
"""


def folder() -> Path:
    """Return the folder of the data files: ``ADVNB_DATA``, else pooch's cache folder. It need not exist."""
    import pooch

    return Path(os.environ.get(ENVIRONMENT) or pooch.os_cache("advnb")).expanduser()


class Presence(NamedTuple):
    """What is on this machine of one data set: its ``files`` in the folder ``path``, and what is ``missing``."""

    name: str
    state: Literal["embedded", "present", "partial", "absent"]
    path: Path | None = None
    files: tuple[Path, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in self.files)


def present() -> list[Presence]:
    """Return what this machine holds of each data set, judged by file names: nothing is read or fetched."""
    unpacked = folder() / CIFAR10_FOLDER
    mnist = [_path(file) for half in HALVES for file in MNIST[half]]
    cifar = [unpacked / name for half in HALVES for name in CIFAR10_FILES[half]]
    found = [Presence("digits", "embedded")]
    for name, paths in {"mnist": mnist, "cifar10": cifar if unpacked.is_dir() else [_path(CIFAR10)]}.items():
        here = tuple(path for path in paths if path.is_file())
        missing = tuple(path.name for path in paths if path not in here)
        found.append(
            Presence(name, "absent" if not here else "partial" if missing else "present", folder(), here, missing)
        )
    return found


def read_mnist(half: Half, *, progress: bool = True) -> tuple[Bytes, Bytes]:
    """Return MNIST's images (n, 28, 28) and labels (n,) as bytes, downloading the files that are not there.

    Raises TruncatedFile or AlteredFile if a present file is not the published one; it is left as it was. Raises
    MissingFile if a file is neither present nor to be had from any mirror.
    """
    images, labels = (parse_idx(_contents(file, MNIST_MIRRORS, progress)) for file in MNIST[half])
    return images, labels


def read_cifar10(half: Half, *, progress: bool = True) -> tuple[Bytes, Bytes]:
    """Return CIFAR-10's images (n, 3, 32, 32) and labels (n,) as bytes, in the order of their digests.

    Reads the unpacked folder if there is one, else the archive, which is downloaded if it is not there. The
    order is neither the published one nor that of the copy at hand, so every copy gives the same tensors. Raises
    as :func:`read_mnist`.
    """
    where, names = folder() / CIFAR10_FOLDER, CIFAR10_FILES[half]
    if where.is_dir():
        content = b"".join(_unpacked_file(where / name) for name in names)
    else:
        where = _path(CIFAR10)
        packed = io.BytesIO(_contents(CIFAR10, CIFAR10_MIRRORS, progress))
        wanted = {f"{CIFAR10_FOLDER}/{name}" for name in names}
        with tarfile.open(fileobj=packed, mode="r|gz") as archive:  # nothing is unpacked to disk
            streams = (archive.extractfile(member) for member in archive if member.name in wanted)
            content = b"".join(stream.read() for stream in streams if stream)
    records = _in_digest_order(np.frombuffer(content, np.uint8).reshape(-1, RECORD), half, where)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].copy()


def parse_idx(content: bytes) -> Bytes:
    """Return the array in an IDX file of unsigned bytes; raises ``ValueError`` if it is not one.

    The format: two zero bytes, the type (8 for unsigned bytes), the number of axes, each axis's length as a
    big-endian 32-bit integer, then the values row by row.
    """
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise ValueError(f"not an IDX file of unsigned bytes: it starts with {content[:4]!r}")
    axes = content[3]
    if len(content) < 4 + 4 * axes:
        raise ValueError(f"an IDX file of {axes} axes must begin with {4 + 4 * axes} bytes; got {len(content)}")
    shape = tuple(int(length) for length in np.frombuffer(content, ">u4", count=axes, offset=4))
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * axes)
    if values.size != math.prod(shape):
        raise ValueError(f"an IDX file of shape {shape} must hold {math.prod(shape)} values; got {values.size}")
    return values.reshape(shape)


def _path(file: Published) -> Path:
    """Where the file lies, as it is fetched or unpacked; the former where neither is there."""
    plain = folder() / file.name
    packed = plain if file is CIFAR10 else plain.with_name(f"{file.name}.gz")
    return plain if plain.is_file() and not packed.is_file() else packed


def _contents(file: Published, mirrors: tuple[str, ...], progress: bool) -> bytes:
    """The contents of a file, fetched if it is not there, unpacked and checked by size and SHA-256."""
    path = _path(file)
    if not path.is_file():
        _download(path, file.fetched_sha256, mirrors, progress)
    content = path.read_bytes()
    if path.name != file.name:
        try:
            content = gzip.decompress(content)
        except EOFError as error:
            raise TruncatedFile(f"{path} ends in the middle of its gzip stream. {_remedy(path)}") from error
        except (OSError, zlib.error) as error:
            raise AlteredFile(f"{path} is not a valid gzip file ({error}). {_remedy(path)}") from error
    _refuse_size(path, len(content), file.size, path)
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise AlteredFile(f"the contents of {path} are not the published ones (SHA-256). {_remedy(path)}")
    return content


def _unpacked_file(path: Path) -> bytes:
    """The bytes of one file of the unpacked folder, which must be there and have its size."""
    if not path.is_file():
        raise MissingFile(
            f"{path.parent} lacks {path.name}. Unpack {CIFAR10.name} there again, or move the folder away "
            "and load 'cifar10' again to download the archive"
        )
    content = path.read_bytes()
    _refuse_size(path, len(content), RECORDS * RECORD, path.parent)
    return content


def _in_digest_order(records: Bytes, half: Half, where: Path) -> Bytes:
    """The records sorted by their SHA-256 digests; raised if the fingerprint is not the published half's."""
    digests = [hashlib.sha256(record).digest() for record in records]
    order = sorted(range(len(records)), key=digests.__getitem__)
    found = hashlib.sha256(b"".join(digests[i] for i in order)).hexdigest()
    if found != FINGERPRINT[half]:
        raise AlteredFile(
            f"the {half} images or labels in {where} are not the published ones "
            f"(fingerprint of all records). {_remedy(where)}"
        )
    return records[order]


def _refuse_size(path: Path, held: int, size: int, whole: Path) -> None:
    """Raise if ``path``, a part of ``whole``, holds fewer bytes than ``size``, or more."""
    if held < size:
        raise TruncatedFile(f"{path} holds {held} bytes of {size}. {_remedy(whole)}")
    if held > size:
        raise AlteredFile(f"{path} holds {held} bytes, not {size}. {_remedy(whole)}")


def _remedy(path: Path) -> str:
    return (
        f"It was left as it is: move {path.name} away and load the data set again to download a good copy, "
        "or put a good copy in its place (or in another folder, named by the environment variable "
        f"{ENVIRONMENT})"
    )


def _download(path: Path, sha256: str, mirrors: tuple[str, ...], progress: bool) -> None:
    """Fetch ``path`` from the first of ``mirrors`` that gives the right bytes; only those ever get that name."""
    import pooch

    failures = []
    for mirror in mirrors:
        url = f"{mirror}{path.name}"
        try:
            fetch = pooch.HTTPDownloader(progressbar=progress, timeout=SILENT_SECONDS)
            pooch.retrieve(url, sha256, fname=path.name, path=path.parent, downloader=fetch)
            return
        except (OSError, ValueError) as error:  # no connection, no such file, wrong checksum, unwritable folder
            failures.append(f"\n  {url}: {str(error).splitlines()[0]}")
    raise MissingFile(
        f"{path.name} is not in {path.parent} and could not be downloaded:{''.join(failures)}\n"
        f"Without a network, fetch it elsewhere from one of these addresses and put it at {path}, or put it "
        f"in a folder of your choice and set the environment variable {ENVIRONMENT} to that folder"
    )
