//! Tests of the whole protocol core.

mod standalone;
