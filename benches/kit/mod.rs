//! What the benchmarks share: servers as processes, a light load generator, the table at the end.
#![allow(dead_code, reason = "each benchmark uses a part of it")]

pub mod load;
pub mod machine;
pub mod process;
pub mod report;
