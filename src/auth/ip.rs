//! The scheme `ip`: addresses and blocks of them.
//!
//! Source: `IPAuthenticationProvider`.

use std::net::IpAddr;

/// An address as Java prints it: IPv6 in eight groups, nothing left out. An IPv4 address
/// within IPv6 is an IPv4 address.
///
/// Source: `InetAddress.getHostAddress`, but for scope ids.
pub(super) fn java_text(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let groups: Vec<String> = address
                .segments()
                .iter()
                .map(|group| format!("{group:x}"))
                .collect();
            groups.join(":")
        }
    }
}

/// An address with a number of leading bits that count.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    address: Vec<u8>,
    bits: usize,
}

impl Block {
    /// `address` or `address/bits`.
    pub(super) fn parse(text: &str) -> Option<Block> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address = parse_address(address)?;
        let most = address.len() * 8;
        let bits = match bits {
            Some(bits) => usize::try_from(java_int(bits, 10)?)
                .ok()
                .filter(|bits| *bits <= most)?,
            None => most,
        };
        Some(Block { address, bits })
    }

    /// Whether `address` is of the same family and starts with the same bits.
    pub(super) fn holds(&self, address: &str) -> bool {
        let Some(address) = parse_address(address) else {
            return false;
        };
        let mask = |byte: usize| match self.bits.saturating_sub(byte * 8) {
            bits @ 0..8 => !(0xff_u8 >> bits),
            _ => 0xff,
        };
        address.len() == self.address.len()
            && (0..address.len()).all(|i| (address[i] ^ self.address[i]) & mask(i) == 0)
    }
}

fn parse_address(text: &str) -> Option<Vec<u8>> {
    if text.contains(':') {
        parse_v6(text)
    } else {
        parse_v4(text)
    }
}

fn parse_v4(text: &str) -> Option<Vec<u8>> {
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() != 4 {
        return None;
    }
    parts
        .into_iter()
        .map(|part| u8::try_from(java_int(part, 10)?).ok())
        .collect()
}

fn parse_v6(text: &str) -> Option<Vec<u8>> {
    let sides: Vec<&str> = text.split("::").collect();
    let groups = |side: &str| -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for group in side.split(':').filter(|_| !side.is_empty()) {
            if group.is_empty() || group.encode_utf16().count() > 4 {
                return None;
            }
            // A sign passes Java's parser, and only the low bytes are kept.
            bytes.extend_from_slice(&(java_int(group, 16)? as u16).to_be_bytes());
        }
        Some(bytes)
    };
    match sides[..] {
        [whole] => groups(whole).filter(|bytes| bytes.len() == 16),
        [front, back] => {
            let (front, back) = (groups(front)?, groups(back)?);
            if front.len() + back.len() >= 16 {
                return None;
            }
            let mut bytes = front;
            bytes.resize(16 - back.len(), 0);
            bytes.extend(back);
            Some(bytes)
        }
        _ => None,
    }
}

/// An optional sign and digits. Source: `Integer.parseInt`, but for digits of other scripts.
fn java_int(text: &str, radix: u32) -> Option<i32> {
    i32::from_str_radix(text, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_accepted_as_java_accepts_them() {
        for good in [
            "1.2.3.4",
            "1.2.3.4/0",
            "1.2.3.4/32",
            "::",
            "::1",
            "1::",
            "1:2:3:4:5:6:7:8",
            "fe80::1/64",
            "::1/128",
            "+1.2.3.4",
        ] {
            assert!(Block::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "1.2.3",
            "1.2.3.4/",
            "1.2.3.4/33",
            "1.2.3.256",
            "1.2.3.4/-1",
            "1.2.3.4/x",
            "1:2:3",
            "1::2::3",
            "::1.2.3.4",
            "::12345",
            "::1/129",
            "1:2:3:4:5:6:7::8",
            "::g",
        ] {
            assert!(Block::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn only_the_leading_bits_count() {
        let holds = |block: &str, address: &str| Block::parse(block).unwrap().holds(address);
        assert!(holds("10.1.2.3", "10.1.2.3"));
        assert!(!holds("10.1.2.3", "10.1.2.4"));
        assert!(holds("10.1.2.3/8", "10.9.9.9"));
        assert!(holds("10.1.2.3/12", "10.15.0.1"));
        assert!(!holds("10.1.2.3/12", "10.16.0.1"));
        assert!(holds("0.0.0.0/0", "1.2.3.4"));
        assert!(!holds("0.0.0.0/0", "0:0:0:0:0:0:0:1"));
        assert!(holds("::1", "0:0:0:0:0:0:0:1"));
        assert!(holds("fe80::/10", "fe80:0:0:0:0:0:0:1"));
    }
}
