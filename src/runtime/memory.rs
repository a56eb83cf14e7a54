//! What was freed goes back to the system at the moments when that is much.

/// To be called after something large was dropped, such as what files were read with, or a whole tree. The C library of
/// most Linux systems keeps what is freed, for as long as something behind it is in use.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it may be called at any time by any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
