"""Sealed stretches of the log as Parquet files that prove themselves, in a folder or in S3; DuckDB reads them.

`docs/formats/segment.md` is the normative description of the files. Needs the extra `archive`.
"""

from actum.archive.archiving import archive_log, segments_of
from actum.archive.check import check_archive, with_archive
from actum.archive.places import ArchivePlace, open_place
from actum.archive.query import Analytics
from actum.archive.segment import SEGMENT_EVENTS, Segment, read_segment

__all__ = [
    "SEGMENT_EVENTS",
    "Analytics",
    "ArchivePlace",
    "Segment",
    "archive_log",
    "check_archive",
    "open_place",
    "read_segment",
    "segments_of",
    "with_archive",
]
