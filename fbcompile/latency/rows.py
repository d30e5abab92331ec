"""The CSV files of measured rows: compact, sorted, the same rows give the same bytes."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import io
from collections.abc import Mapping
from pathlib import Path

from fbcompile.errors import UsageError
from fbcompile.latency.key import LatencyKey, LayerBits, LayerShape

GZIP_ABOVE_BYTES = 1_000_000
"""Tables with more bytes of CSV are written compressed."""

SHAPE_COLUMNS = tuple(field.name for field in dataclasses.fields(LayerShape))
BITS_COLUMNS = tuple(field.name for field in dataclasses.fields(LayerBits))
MEASUREMENT_COLUMNS = ("cycles", "compute", "dma_wait")
COLUMNS = (*SHAPE_COLUMNS, *BITS_COLUMNS, *MEASUREMENT_COLUMNS)
"""Header of the CSV; target, cores and L1 bytes are the same for a whole file and stand in its provenance."""

_WHERE = "reading a latency table"


@dataclasses.dataclass(frozen=True)
class Measurement:
    """Cycles of one layer from L2 to L2, weights already in L2.

    Attributes:
        cycles: The whole tiled layer.
        compute: Spent in kernels.
        dma_wait: Spent waiting for transfers between L2 and L1.
    """

    cycles: int
    compute: int
    dma_wait: int

    @property
    def overhead(self) -> int:
        """The rest: tile loop, DMA programming, fork and join."""
        return self.cycles - self.compute - self.dma_wait


def format_row(key: LatencyKey, measurement: Measurement) -> list[str]:
    """One CSV row."""
    fields = (
        *dataclasses.astuple(key.shape),
        *dataclasses.astuple(key.bits),
        *dataclasses.astuple(measurement),
    )
    return [str(int(value)) if isinstance(value, bool) else str(value) for value in fields]


def format_rows(rows: Mapping[LatencyKey, Measurement]) -> str:
    """The whole CSV text, sorted by key."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(format_row(key, rows[key]) for key in sorted(rows))
    return text.getvalue()


def parse_rows(text: str, name: str, target: str, cores: int, l1_bytes: int) -> dict[LatencyKey, Measurement]:
    """Reads CSV text.

    Args:
        text: The file's text.
        name: Name of the file, for messages.
        target: From the provenance, as are the two that follow.
        cores: Cluster cores used.
        l1_bytes: L1 bytes that the tiler could use.

    Raises:
        UsageError: Wrong header, wrong number of fields, not an integer, or a key that occurs twice.
    """
    reader = csv.reader(io.StringIO(text))
    header = next(reader, [])
    if tuple(header) != COLUMNS:
        raise UsageError(f"'{name}' is not a latency table", why=f"its header is {header}", where=_WHERE)
    rows: dict[LatencyKey, Measurement] = {}
    for fields in reader:
        try:
            key, measurement = _parse(fields, target, cores, l1_bytes)
        except ValueError as error:
            raise UsageError(f"'{name}', line {reader.line_num}: {error}", where=_WHERE) from error
        if key in rows:
            raise UsageError(f"'{name}', line {reader.line_num}: this key occurs twice", where=_WHERE)
        rows[key] = measurement
    return rows


def _parse(fields: list[str], target: str, cores: int, l1_bytes: int) -> tuple[LatencyKey, Measurement]:
    if len(fields) != len(COLUMNS):
        raise ValueError(f"{len(fields)} fields instead of {len(COLUMNS)}")
    numbers = [int(field) for field in fields[1:]]
    shape_end = len(SHAPE_COLUMNS) - 1
    shape = LayerShape(fields[0], *numbers[:shape_end])
    activation, signed, weight, output = numbers[shape_end : shape_end + len(BITS_COLUMNS)]
    bits = LayerBits(activation, bool(signed), weight, output)
    measurement = Measurement(*numbers[shape_end + len(BITS_COLUMNS) :])
    if measurement.cycles <= 0 or measurement.overhead < 0:
        raise ValueError(f"impossible cycles {measurement}")
    return LatencyKey(shape, bits, target, cores, l1_bytes), measurement


def read_csv(path: Path) -> str:
    """Text of a CSV file, compressed or not."""
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")


def write_csv(stem: Path, text: str) -> Path:
    """Writes ``<stem>.csv``, or ``<stem>.csv.gz`` if long; removes the other. Returns the path."""
    plain, packed = stem.with_name(f"{stem.name}.csv"), stem.with_name(f"{stem.name}.csv.gz")
    data = text.encode("utf-8")
    path, other = (plain, packed) if len(data) <= GZIP_ABOVE_BYTES else (packed, plain)
    partial = stem.with_name(f"{stem.name}.partial")
    # mtime 0, so that the same rows give the same bytes.
    partial.write_bytes(data if path is plain else gzip.compress(data, mtime=0))
    partial.replace(path)
    other.unlink(missing_ok=True)
    return path
