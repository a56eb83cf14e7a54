//! The words of `JVMFLAGS` and `SERVER_JVMFLAGS`, where operators put `-Dname=value`.

/// A text of JVM flags, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JvmWords {
    /// Name and value of each `-Dname=value`, in order; a later one of the same name wins. The
    /// value of `-Dname` is empty.
    pub properties: Vec<(String, String)>,
    /// All other words, in order: they concern a Java machine and have no effect here.
    pub ignored: Vec<String>,
}

/// Splits a text of JVM flags at blanks and line ends. Quotes are ordinary characters, because the
/// scripts expand the variable unquoted and the shell takes no quotes away then. The scripts put
/// `SERVER_JVMFLAGS` before `JVMFLAGS`, so the latter wins. Source: `bin/zkServer.sh`.
pub fn split_jvm_flags(text: &str) -> JvmWords {
    let mut words = JvmWords::default();
    for word in text
        .split([' ', '\t', '\n'])
        .filter(|word| !word.is_empty())
    {
        match word.strip_prefix("-D").and_then(split_property) {
            Some(property) => words.properties.push(property),
            None => words.ignored.push(word.to_owned()),
        }
    }
    words
}

/// Name and value of what follows `-D`; `None` when there is no name.
pub fn split_property(definition: &str) -> Option<(String, String)> {
    let (name, value) = definition.split_once('=').unwrap_or((definition, ""));
    (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_definitions_of_properties_are_taken() {
        let words = split_jvm_flags(
            "-Xmx1000m  -Dzookeeper.snapCount=10\t-Djute.maxbuffer=0x200000 \
             -XX:+UseG1GC\n-Dzookeeper.a=b=c -D -D=x",
        );
        let properties: Vec<_> = words
            .properties
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            properties,
            [
                ("zookeeper.snapCount", "10"),
                ("jute.maxbuffer", "0x200000"),
                ("zookeeper.a", "b=c")
            ]
        );
        assert_eq!(words.ignored, ["-Xmx1000m", "-XX:+UseG1GC", "-D", "-D=x"]);
    }

    #[test]
    fn a_definition_without_a_value_is_empty_and_quotes_stay() {
        assert_eq!(split_property("a"), Some(("a".to_owned(), String::new())));
        let words = split_jvm_flags("-Da='b c'");
        assert_eq!(words.properties, [("a".to_owned(), "'b".to_owned())]);
        assert_eq!(words.ignored, ["c'"]);
        assert_eq!(split_jvm_flags(""), JvmWords::default());
    }
}
