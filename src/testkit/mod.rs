//! What tests of several layers are written with.

pub mod scenario;
