//! Numbers and yes/no words as Java reads them, so that a file means the same here as there.

/// Decimal number with an optional sign. Source: `java.lang.Long.parseLong`, `Integer.parseInt`
/// (then within `i32`).
pub(super) fn parse_decimal(text: &str) -> Option<i64> {
    parse_radix(text, 10)
}

/// Like [`parse_decimal`], within 32 bits.
pub(super) fn parse_decimal_i32(text: &str) -> Option<i32> {
    parse_decimal(text).and_then(|number| i32::try_from(number).ok())
}

/// Number of a system property: `0x`, `0X` and `#` mean hexadecimal, and **a leading 0 means
/// octal** (`010` is 8).
/// Source: `java.lang.Long.decode`, used by `Integer.getInteger` and `Long.getLong`.
pub(super) fn decode(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (digits, radix) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&digits[2..], 16),
        [b'#', ..] => (&digits[1..], 16),
        [b'0', _, ..] => (&digits[1..], 8),
        _ => (digits, 10),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// Like [`decode`], within 32 bits.
pub(super) fn decode_i32(text: &str) -> Option<i32> {
    decode(text).and_then(|number| i32::try_from(number).ok())
}

/// Hexadecimal without a prefix, as versions of configurations are written. Source:
/// `Long.parseLong(text, 16)`.
pub(super) fn parse_hex(text: &str) -> Option<i64> {
    parse_radix(text, 16)
}

fn parse_radix(text: &str, radix: u32) -> Option<i64> {
    i64::from_str_radix(text, radix).ok()
}

/// `true` or `false` in any case, nothing else. Source: `QuorumPeerConfig.parseBoolean`.
pub(super) fn parse_strict_bool(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        return Some(true);
    }
    text.eq_ignore_ascii_case("false").then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_knows_hexadecimal_and_octal() {
        let table = [
            ("0", Some(0)),
            ("10", Some(10)),
            ("010", Some(8)),
            ("0x10", Some(16)),
            ("-0X1f", Some(-31)),
            ("#ff", Some(255)),
            ("+7", Some(7)),
            ("09", None),
            ("0x", None),
            ("--1", None),
            ("0x-1", None),
            ("-", None),
            ("", None),
            (" 1", None),
            ("1k", None),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("\u{e9}", None),
        ];
        for (text, expected) in table {
            assert_eq!(decode(text), expected, "{text:?}");
        }
        assert_eq!(decode_i32("0x7fffffff"), Some(i32::MAX));
        assert_eq!(decode_i32("2147483648"), None);
    }

    #[test]
    fn named_keys_are_decimal_only() {
        assert_eq!(parse_decimal_i32("010"), Some(10));
        assert_eq!(parse_decimal_i32("+5"), Some(5));
        assert_eq!(parse_decimal_i32("0x10"), None);
        assert_eq!(parse_decimal_i32("3000000000"), None);
        assert_eq!(parse_hex("100000001"), Some(0x1_0000_0001));
    }

    #[test]
    fn strict_booleans_take_two_words_in_any_case() {
        assert_eq!(parse_strict_bool("TRUE"), Some(true));
        assert_eq!(parse_strict_bool("False"), Some(false));
        assert_eq!(parse_strict_bool("yes"), None);
        assert_eq!(parse_strict_bool(""), None);
    }
}
