//! What operators ask a running server.

pub mod four_letter;
