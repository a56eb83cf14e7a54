//! JSON as Java's AdminServer prints it, byte for byte.
//!
//! ```text
//! {
//!   "zxid" : 12,
//!   "members" : [ 1, 2 ],
//!   "none" : { },
//!   "command" : "hash",
//!   "error" : null
//! }
//! ```
//!
//! Source: `JsonOutputter`, and Jackson's `DefaultPrettyPrinter` behind it.

use serde_json::{Map, Number, Value};

/// The text of `fields`, without a newline at its end.
pub fn pretty(fields: &Map<String, Value>) -> String {
    let mut out = String::new();
    object(&mut out, fields, 0);
    out
}

/// A double as `Double.toString` prints it: always with a point, with an exponent outside of 0.001 to 10,000,000.
pub fn java_double(value: f64) -> String {
    let size = value.abs();
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }.into()
    } else if size == 0.0 || (1e-3..1e7).contains(&size) {
        format!("{value:?}")
    } else {
        let text = format!("{value:E}");
        match text.split_once('E') {
            Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
            _ => text,
        }
    }
}

fn value(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(&digits(number)),
        Value::String(text) => string(out, text),
        Value::Array(values) => array(out, values, depth),
        Value::Object(fields) => object(out, fields, depth),
    }
}

fn digits(number: &Number) -> String {
    match number.as_f64() {
        Some(double) if number.is_f64() => java_double(double),
        _ => number.to_string(),
    }
}

/// On one line, but for the objects in it; these stand no deeper than the list itself.
fn array(out: &mut String, values: &[Value], depth: usize) {
    out.push('[');
    for (place, item) in values.iter().enumerate() {
        out.push_str(if place == 0 { " " } else { ", " });
        value(out, item, depth);
    }
    out.push_str(" ]");
}

fn object(out: &mut String, fields: &Map<String, Value>, depth: usize) {
    out.push('{');
    for (place, (key, field)) in fields.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        line(out, depth + 1);
        string(out, key);
        out.push_str(" : ");
        value(out, field, depth + 1);
    }
    if fields.is_empty() {
        out.push(' ');
    } else {
        line(out, depth);
    }
    out.push('}');
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    for _ in 0..depth {
        out.push_str("  ");
    }
}

fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> String {
        pretty(
            serde_json::from_str::<Value>(text)
                .unwrap()
                .as_object()
                .unwrap(),
        )
    }

    #[test]
    fn objects_are_indented_and_lists_are_not() {
        let expected = "{\n  \"z\" : [ 1, \"b\" ],\n  \"a\" : [ {\n    \"k\" : 0.5\n  }, {\n    \"l\" : { }\n  } ],\n  \
                        \"e\" : [ ],\n  \"o\" : {\n    \"n\" : null\n  }\n}";
        let text = r#"{"z":[1,"b"],"a":[{"k":0.5},{"l":{}}],"e":[],"o":{"n":null}}"#;
        assert_eq!(printed(text), expected);
        assert_eq!(printed("{}"), "{ }");
    }

    #[test]
    fn strings_keep_what_is_not_ascii_and_escape_controls_in_capitals() {
        let text = printed(r#"{"é\u0001\u001f":"\"\\\n\t\u007f/"}"#);
        assert_eq!(
            text,
            "{\n  \"é\\u0001\\u001F\" : \"\\\"\\\\\\n\\t\u{7f}/\"\n}"
        );
    }

    #[test]
    fn doubles_print_as_in_java() {
        let table = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (3.6282, "3.6282"),
            (0.001, "0.001"),
            (0.000_5, "5.0E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (12_345_678.5, "1.23456785E7"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (double, text) in table {
            assert_eq!(java_double(double), text);
        }
    }

    #[test]
    fn whole_numbers_beyond_doubles_keep_every_digit() {
        assert_eq!(
            printed(r#"{"id":72057594037927937}"#),
            "{\n  \"id\" : 72057594037927937\n}"
        );
    }
}
