"""Score records, the jobs that write them, and the leaderboard that shows them."""

from .board import COLUMNS, Board, Cell, Row, make_board
from .contents import content_of
from .errors import JobError, MixedRecordsError, NoRecordsError, RecordError
from .files import RecordFolder, read_record, read_records, record_name, write_record
from .jobs import Job, JobTable
from .page import render_page
from .record import Record
from .running import Run, run_jobs
from .tables import as_csv, as_json, as_markdown, as_text

__all__ = [
    "COLUMNS",
    "Board",
    "Cell",
    "Job",
    "JobError",
    "JobTable",
    "MixedRecordsError",
    "NoRecordsError",
    "Record",
    "RecordError",
    "RecordFolder",
    "Row",
    "Run",
    "as_csv",
    "as_json",
    "as_markdown",
    "as_text",
    "content_of",
    "make_board",
    "read_record",
    "read_records",
    "record_name",
    "render_page",
    "run_jobs",
    "write_record",
]
