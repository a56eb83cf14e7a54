//! Session passwords: a function of the id, the same on every server, so that a client can resume anywhere.
//!
//! Source: `ZooKeeperServer.generatePasswd`, `checkPasswd`.

use crate::base::{JavaRandom, SessionId};

const SECRET: i64 = 0xB341_5C00;

/// The password of `session`.
pub fn of(session: SessionId) -> [u8; 16] {
    let mut password = [0; 16];
    JavaRandom::new(session.0 ^ SECRET).next_bytes(&mut password);
    password
}

/// Whether `password` is the one of `session`. Session 0 has none, and null is none.
pub fn matches(session: SessionId, password: Option<&[u8]>) -> bool {
    session.0 != 0 && password == Some(&of(session))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_the_ones_java_makes() {
        let hex = |id| of(SessionId(id)).map(|byte| format!("{byte:02x}")).concat();
        assert_eq!(
            hex(0x0100_0032_c2cd_0000),
            "29f63d5202d7ebf7af236f0c1bb45762"
        );
        assert_eq!(
            hex(0x0100_001a_f708_0000),
            "8a20f95e4f081cbb784f3badb0eee8f3"
        );
        assert!(matches(SessionId(5), Some(&of(SessionId(5)))));
        assert!(!matches(SessionId(5), Some(&of(SessionId(6)))));
        assert!(!matches(SessionId(5), None));
        assert!(!matches(SessionId(0), Some(&of(SessionId(0)))));
    }
}
