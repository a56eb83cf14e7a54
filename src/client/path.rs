//! Paths as a caller says them and as a server knows them.

use jute::Str;

/// Why a path is none, in Java's words. Source: `PathUtils.validatePath`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing at all.
    #[error("Path length must be > 0")]
    Empty,
    /// Not absolute.
    #[error("Path must start with / character")]
    Relative,
    /// A slash at the end.
    #[error("Path must not end with / character")]
    EndsWithSlash,
    /// Something within.
    #[error("Invalid path string \"{path}\" caused by {reason} @{at}")]
    Inside {
        /// The whole path.
        path: String,
        /// What is wrong.
        reason: &'static str,
        /// Where, counted in UTF-16 units.
        at: usize,
    },
}

/// Checks a path before it is sent, as Java's client does.
///
/// # Errors
/// What is wrong with it, and where.
pub fn check_path(path: &str) -> Result<(), PathError> {
    match path {
        "" => return Err(PathError::Empty),
        "/" => return Ok(()),
        _ if !path.starts_with('/') => return Err(PathError::Relative),
        _ if path.ends_with('/') => return Err(PathError::EndsWithSlash),
        _ => {}
    }
    let units: Vec<u16> = path.encode_utf16().collect();
    match (1..units.len()).find_map(|at| Some((at, fault(&units, at)?))) {
        None => Ok(()),
        Some((at, reason)) => Err(PathError::Inside {
            path: path.to_owned(),
            reason,
            at,
        }),
    }
}

/// What is wrong with the unit at `at`, which is not the first.
fn fault(units: &[u16], at: usize) -> Option<&'static str> {
    const SLASH: u16 = b'/' as u16;
    const DOT: u16 = b'.' as u16;
    let ends_here = |at: usize| matches!(units.get(at + 1), None | Some(&SLASH));
    let before = units[at - 1];
    match units[at] {
        0 => Some("null character not allowed"),
        SLASH if before == SLASH => Some("empty node name specified"),
        DOT if before == DOT => {
            let alone = at >= 2 && units[at - 2] == SLASH && ends_here(at);
            alone.then_some("relative paths not allowed")
        }
        DOT if before == SLASH && ends_here(at) => Some("relative paths not allowed"),
        0x01..=0x1f | 0x7f..=0x9f | 0xd800..=0xf8ff | 0xfff0..=0xffff => Some("invalid character"),
        _ => None,
    }
}

/// The part of the tree that a client sees as the whole of it; empty for the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chroot(String);

impl Chroot {
    /// `path` is a valid one, or empty or `/` for none.
    pub fn new(path: &str) -> Chroot {
        Chroot(if path == "/" { "" } else { path }.to_owned())
    }

    /// The server's name for what the caller calls `path`.
    pub fn outward(&self, path: &str) -> String {
        match path {
            "/" if !self.0.is_empty() => self.0.clone(),
            _ => format!("{}{path}", self.0),
        }
    }

    /// The caller's name for the server's `path`; a path outside stays as it is. Source: `stripChroot`.
    pub fn inward(&self, path: &Str) -> Str {
        match path.strip_prefix(self.0.as_str()) {
            Some("") if !self.0.is_empty() => Str::from_static("/"),
            Some(rest) if rest.starts_with('/') => path.share(rest),
            _ => path.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_paths_are_told_in_javas_words() {
        let said = |path: &str| check_path(path).map_err(|error| error.to_string());
        for good in ["/", "/a", "/a/b", "/...", "/a/.b", "/a..", "/é"] {
            assert_eq!(said(good), Ok(()), "{good}");
        }
        for (bad, text) in [
            ("", "Path length must be > 0"),
            ("a", "Path must start with / character"),
            ("/a/", "Path must not end with / character"),
            (
                "/a//b",
                "Invalid path string \"/a//b\" caused by empty node name specified @3",
            ),
            (
                "/a/./b",
                "Invalid path string \"/a/./b\" caused by relative paths not allowed @3",
            ),
            (
                "/a/..",
                "Invalid path string \"/a/..\" caused by relative paths not allowed @4",
            ),
            (
                "/\u{1}",
                "Invalid path string \"/\u{1}\" caused by invalid character @1",
            ),
            (
                "/b\u{1f600}",
                "Invalid path string \"/b\u{1f600}\" caused by invalid character @2",
            ),
        ] {
            assert_eq!(said(bad), Err(text.to_owned()), "{bad:?}");
        }
    }

    #[test]
    fn a_chroot_is_added_on_the_way_out_and_taken_off_on_the_way_in() {
        let chroot = Chroot::new("/app");
        assert_eq!(chroot.outward("/"), "/app");
        assert_eq!(chroot.outward("/x"), "/app/x");
        assert_eq!(chroot.inward(&"/app".into()), "/");
        assert_eq!(chroot.inward(&"/app/x".into()), "/x");
        assert_eq!(chroot.inward(&"/apple".into()), "/apple");
        let whole = Chroot::new("/");
        assert_eq!(whole.outward("/"), "/");
        assert_eq!(whole.inward(&"/".into()), "/");
    }
}
