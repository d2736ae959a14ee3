"""A sweep's trials as files: CSV, Parquet, Arrow streams, a few thousand rows at a time."""
