//! heist against its rivals, in one run.
