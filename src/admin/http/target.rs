//! What a request asks for: path and parameters, read as Jetty reads them.

use percent_encoding::percent_decode_str;

use crate::admin::answer::Query;

/// A path without percent signs, parameters of its parts and dots; and the parameters of the URL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub path: String,
    pub query: Query,
}

impl Target {
    /// `None` where a percent sign is not followed by two hexadecimal digits, where a path has a zero byte or the
    /// parameters are no UTF-8, or where dots lead out of the root.
    ///
    /// Source: Jetty's `URIUtil.decodePath`, `canonicalPath`.
    pub fn parse(path: &str, query: &str) -> Option<Target> {
        if !is_encoded(path) || !is_encoded(query) {
            return None;
        }
        let is_text = percent_decode_str(query).decode_utf8().is_ok();
        if !is_text || path.contains("%00") {
            return None;
        }
        let mut parts: Vec<String> = Vec::new();
        let mut segments = path.split('/').peekable();
        // What is before the first slash: nothing.
        segments.next();
        while let Some(segment) = segments.next() {
            let name = decoded(segment.split(';').next().unwrap_or_default());
            let is_last = segments.peek().is_none();
            match &*name {
                "." | ".." => {
                    if name == ".." {
                        parts.pop()?;
                    }
                    if is_last {
                        parts.push(String::new());
                    }
                }
                _ => parts.push(name),
            }
        }
        Some(Target {
            path: format!("/{}", parts.join("/")),
            query: Query::parse(query),
        })
    }
}

fn is_encoded(text: &str) -> bool {
    let mut behind = text.split('%');
    behind.next();
    behind.all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// Bytes that are no UTF-8 are taken for ISO 8859-1.
fn decoded(text: &str) -> String {
    let bytes = percent_decode_str(text);
    match bytes.clone().decode_utf8() {
        Ok(text) => text.into_owned(),
        Err(_) => bytes.map(char::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_mean_what_they_mean_to_jetty() {
        let table = [
            ("/commands/ruok", Some("/commands/ruok")),
            ("/commands/ruok/", Some("/commands/ruok/")),
            ("/commands//ruok", Some("/commands//ruok")),
            ("/commands/%72uok", Some("/commands/ruok")),
            ("/commands/ruok;a=b", Some("/commands/ruok")),
            ("/commands/../commands/ruok", Some("/commands/ruok")),
            ("/x/../commands/./ruok", Some("/commands/ruok")),
            ("/commands/%2e%2e/commands/ruok", Some("/commands/ruok")),
            ("/commands/ruok%00", None),
            ("/commands/..", Some("/")),
            ("/../commands", None),
            ("/commands/%ff", Some("/commands/\u{ff}")),
            ("/commands/%zz", None),
            ("/commands/%7", None),
            ("*", Some("/")),
        ];
        for (path, expected) in table {
            let found = Target::parse(path, "").map(|target| target.path);
            assert_eq!(found.as_deref(), expected, "{path}");
        }
        assert_eq!(Target::parse("/", "a=%zz"), None);
        assert_eq!(
            Target::parse("/", "a=%41").unwrap().query.get("a"),
            Some("A")
        );
    }
}
