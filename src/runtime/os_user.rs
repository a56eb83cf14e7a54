//! The user this process runs as.

/// Its name; a question mark where it has none. Source: `Login`, the property `user.name`.
pub fn name() -> String {
    let uid = rustix::process::getuid().as_raw().to_string();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let listed = named(&users, &uid).map(str::to_owned);
    // Directories that are not files are known to the session that started the server.
    let told = || std::env::var("USER").ok().filter(|name| !name.is_empty());
    listed.or_else(told).unwrap_or_else(|| "?".to_owned())
}

fn named<'a>(users: &'a str, uid: &str) -> Option<&'a str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nzk:x:999:999::/:/bin/false\nbroken\n";
        assert_eq!(named(users, "999"), Some("zk"));
        assert_eq!(named(users, "0"), Some("root"));
        assert_eq!(named(users, "1"), None);
    }
}
