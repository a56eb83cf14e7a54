//! Standard output of commands that print as they go: `println!` and `print!` of this module stand, in everything below
//! `cli`, for those of the standard library, which panic when nobody reads on (`oxkeeper config check zoo.cfg | head`)
//! or a disk is full.

use std::fmt;
use std::io::{self, ErrorKind, Write};

macro_rules! println {
    () => { $crate::cli::stdout::put(format_args!("\n")) };
    ($($text:tt)*) => { $crate::cli::stdout::put(format_args!("{}\n", format_args!($($text)*))) };
}

macro_rules! print {
    ($($text:tt)*) => { $crate::cli::stdout::put(format_args!($($text)*)) };
}

/// Prints the text. That nobody reads it any more is no reason not to go on; anything else that keeps it from being
/// written ends the program with 1.
pub fn put(text: fmt::Arguments<'_>) {
    match io::stdout().lock().write_fmt(text) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        Err(error) => {
            eprintln!("oxkeeper: standard output: {error}");
            std::process::exit(1);
        }
    }
}
