//! Tells the service manager that started this process how far it is, as `sd_notify(3)` describes.

use std::os::unix::net::UnixDatagram;

/// Names the socket; set by systemd for units of `Type=notify`, and absent everywhere else.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Says that the server is up: standalone it serves, as a member it looks for its ensemble or found it. Without a
/// service manager, nothing.
pub fn ready(status: &str) {
    let Some(socket) = std::env::var_os(SOCKET).filter(|name| !name.is_empty()) else {
        return;
    };
    let message = format!("READY=1\nSTATUS={status}\n");
    if let Err(error) = send(socket.as_encoded_bytes(), message.as_bytes()) {
        tracing::warn!(
            "the service manager is not told that the server is up, and may end it: {}: {error}",
            socket.display()
        );
    }
}

/// `@name` is a socket without a file, anything else a path.
#[cfg(target_os = "linux")]
fn send(socket: &[u8], message: &[u8]) -> std::io::Result<()> {
    use std::ffi::OsStr;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::SocketAddr;

    let address = match socket.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(OsStr::from_bytes(socket))?,
    };
    UnixDatagram::unbound()?.send_to_addr(message, &address)?;
    Ok(())
}

/// Only Linux has such a service manager.
#[cfg(not(target_os = "linux"))]
fn send(socket: &[u8], message: &[u8]) -> std::io::Result<()> {
    let path = String::from_utf8_lossy(socket);
    UnixDatagram::unbound()?.send_to(message, path.as_ref())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reaches_a_socket_with_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str().as_encoded_bytes(), b"READY=1\n").unwrap();
        let mut text = [0; 64];
        let length = manager.recv(&mut text).unwrap();
        assert_eq!(&text[..length], b"READY=1\n");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_message_reaches_a_socket_without_a_file() {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::SocketAddr;

        let name = format!("oxkeeper-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        send(format!("@{name}").as_bytes(), b"READY=1\n").unwrap();
        let mut text = [0; 64];
        let length = manager.recv(&mut text).unwrap();
        assert_eq!(&text[..length], b"READY=1\n");
    }

    #[test]
    fn nobody_listening_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        assert!(send(path.as_os_str().as_encoded_bytes(), b"READY=1\n").is_err());
    }
}
