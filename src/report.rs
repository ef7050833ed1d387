//! What a run writes: records, CSV files, summary and figures.
