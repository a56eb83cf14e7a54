//! The `oxkeeper` program.

fn main() -> std::process::ExitCode {
    oxkeeper::cli::main()
}
