//! `oxkeeper ask`: a four-letter word to any server, for scripts on machines without a tool for it.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

/// Connecting, and each silence of the server.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends `word` to `server` and prints the answer. Fails where none comes.
pub fn run(word: &str, server: &str) -> ExitCode {
    let answer = match ask(word, server) {
        Ok(answer) => answer,
        Err(error) => {
            eprintln!("oxkeeper: {server} does not answer: {error}");
            return ExitCode::FAILURE;
        }
    };
    let end = if answer.is_empty() || answer.ends_with(b"\n") {
        ""
    } else {
        "\n"
    };
    let mut out = std::io::stdout().lock();
    match out
        .write_all(&answer)
        .and_then(|()| out.write_all(end.as_bytes()))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// What `server` answers to `word`, whole.
///
/// # Errors
/// It cannot be reached, or falls silent for [`PATIENCE`].
pub(super) fn ask(word: &str, server: &str) -> std::io::Result<Vec<u8>> {
    let mut failure = std::io::ErrorKind::NotFound.into();
    for address in server.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return answer(word, stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn answer(word: &str, mut stream: TcpStream) -> std::io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(word.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}
