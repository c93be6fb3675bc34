"""What a call of `tweetscore table` asks for."""

from dataclasses import dataclass
from pathlib import Path

from scorer.databases.address import Address
from scorer.databases.names import TableName
from scorer.run_options import TEXT_COLUMN, ModelSpec, OutputSpec


@dataclass(frozen=True, slots=True)
class TableOptions:
    """One call of `tweetscore table`."""

    address: Address
    source: TableName | str  # a table, or a query
    into: TableName
    model_spec: ModelSpec
    output_spec: OutputSpec
    text_column: str = TEXT_COLUMN
    incremental: bool = True  # score only texts that the table does not have under their ids
    id_column: str | None = None
    overwrite: bool = False
    lock_wait: float = 10.0  # seconds
    report: Path | None = None  # where to

    @property
    def place(self) -> str:
        """Name the source in messages."""
        return ".".join(self.source.parts) if isinstance(self.source, TableName) else "the query"

    @property
    def asked(self) -> str:
        """Name the option that asks for the source."""
        return "--table" if isinstance(self.source, TableName) else "--query"
