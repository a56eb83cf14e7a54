//! Addresses and dates as Java's own classes print them.

use std::net::{IpAddr, SocketAddr};

use crate::base::WallMs;

/// The address of a client, as in `dump` and `cons`: with the slash behind which Java puts an address that has no name.
///
/// Source: `InetSocketAddress.toString`.
pub fn socket_address(address: &SocketAddr) -> String {
    format!("/{}", host_and_port(address))
}

/// The same without the slash, as in JSON. IPv6 is written out in full.
pub fn host_and_port(address: &SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) => format!("{ip}:{}", address.port()),
        IpAddr::V6(ip) => {
            let groups = ip.segments().map(|group| format!("{group:x}"));
            format!("[{}]:{}", groups.join(":"), address.port())
        }
    }
}

/// A moment as `Sat Nov 21 02:12:46 UTC 2026`, in the time zone of the machine or of `TZ`.
///
/// Source: `Date.toString`.
pub fn date(moment: WallMs) -> String {
    let zone = jiff::tz::TimeZone::system();
    match jiff::Timestamp::from_millisecond(moment.0) {
        Ok(time) => time
            .to_zoned(zone)
            .strftime("%a %b %d %H:%M:%S %Z %Y")
            .to_string(),
        // Further away than any calendar goes.
        Err(_) => moment.0.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_look_as_in_java() {
        let table = [
            ("127.0.0.1:2181", "/127.0.0.1:2181"),
            ("[::1]:80", "/[0:0:0:0:0:0:0:1]:80"),
            ("[fe80::1:0:ab]:1", "/[fe80:0:0:0:0:1:0:ab]:1"),
        ];
        for (address, text) in table {
            assert_eq!(socket_address(&address.parse().unwrap()), text);
        }
    }

    #[test]
    fn dates_are_in_english_and_name_their_zone() {
        let text = date(WallMs(1_795_227_166_000));
        let words: Vec<_> = text.split(' ').collect();
        assert_eq!(
            (words.len(), words[1], words[5]),
            (6, "Nov", "2026"),
            "{text}"
        );
        assert_eq!(date(WallMs(i64::MAX)), i64::MAX.to_string());
    }
}
