//! Znode paths: what is a valid one, and its parts.
//!
//! Most operations take any string and simply find no znode; validation is for the few that Java validates
//! (create after the suffix, setData, setACL, check).

/// The system znodes, which cannot be deleted.
pub const ZOOKEEPER: &str = "/zookeeper";
/// Where quotas live.
pub const QUOTA: &str = "/zookeeper/quota";
/// Where the ensemble's configuration shows.
pub const CONFIG: &str = "/zookeeper/config";
/// Name of the znode under [`QUOTA`]/path that holds the limits of path.
pub const LIMITS_NAME: &str = "zookeeper_limits";
/// Name of the znode under [`QUOTA`]/path that holds what path uses.
pub const STATS_NAME: &str = "zookeeper_stats";

/// Whether `path` is a valid absolute path: starts with `/`, no empty, `.` or `..` component, no slash at the end, no
/// control, surrogate, private-use or beyond-BMP character.
/// Source: `PathUtils.validatePath`.
pub fn is_valid(path: &str) -> bool {
    if path == "/" {
        return true;
    }
    let Some(rest) = path.strip_prefix('/') else {
        return false;
    };
    rest.split('/').all(|name| !matches!(name, "" | "." | "..")) && path.chars().all(is_allowed)
}

/// Characters beyond the BMP are surrogate pairs in Java, and those are refused.
fn is_allowed(c: char) -> bool {
    !matches!(c,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..)
}

/// The text before the last slash ("" is the root), or None without any slash.
pub fn parent(path: &str) -> Option<&str> {
    path.rfind('/').map(|at| &path[..at])
}

/// The text behind the last slash, or the whole without any.
pub fn name(path: &str) -> &str {
    path.rfind('/').map_or(path, |at| &path[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_valid_exactly_where_java_says_so() {
        for good in [
            "/",
            "/a",
            "/a/b",
            "/...",
            "/.a",
            "/a b",
            "/\u{fb00}",
            "/é",
            "/\u{ffef}",
        ] {
            assert!(is_valid(good), "{good:?}");
        }
        for bad in [
            "",
            "a",
            "/a/",
            "//",
            "/a//b",
            "/.",
            "/a/..",
            "/a/./b",
            "/\0",
            "/\u{1f}",
            "/\u{7f}",
            "/\u{9f}",
            "/\u{e000}",
            "/\u{fffd}",
            "/\u{1f600}",
        ] {
            assert!(!is_valid(bad), "{bad:?}");
        }
    }

    #[test]
    fn the_root_is_the_empty_parent() {
        assert_eq!(parent("/a"), Some(""));
        assert_eq!(parent("/a/b"), Some("/a"));
        assert_eq!(parent("a"), None);
        assert_eq!(name("/a/b"), "b");
    }
}
