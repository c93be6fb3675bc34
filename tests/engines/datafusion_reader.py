"""What DataFusion reads of a Parquet file and of its scored copy.

A program of its own, so that any version of DataFusion can be asked:

    python tests/engines/datafusion_reader.py INPUT OUTPUT LABEL_COLUMN [NULLS] ...
"""
