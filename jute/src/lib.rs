//! ZooKeeper's wire and file records.
