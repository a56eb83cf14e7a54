//! What the servers say of themselves, where they say anything.

use crate::cli::{ask, status};

/// Version and state of a server; empty where it does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Such as `3.9.5-…`.
    pub version: String,
    /// Such as `follower`.
    pub mode: String,
}

/// Asks each server with `srvr`, else with `mntr`.
pub async fn ask_all(servers: &[(String, u16)]) -> Vec<Said> {
    let mut asked = Vec::new();
    for (host, port) in servers {
        let server = match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        asked.push(tokio::task::spawn_blocking(move || said(&server)));
    }
    let mut answers = Vec::new();
    for answer in asked {
        answers.push(answer.await.unwrap_or_default());
    }
    answers
}

fn said(server: &str) -> Said {
    let text = |word| {
        let answer = ask::ask(word, server).unwrap_or_default();
        String::from_utf8_lossy(&answer).into_owned()
    };
    if let Some(said) = of_srvr(&text("srvr")) {
        return said;
    }
    of_mntr(&text("mntr"))
}

fn of_srvr(text: &str) -> Option<Said> {
    let status = status::read(text)?;
    Some(Said {
        version: status.version.to_owned(),
        mode: status.mode.to_owned(),
    })
}

fn of_mntr(text: &str) -> Said {
    let value = |name: &str| {
        let values = text.lines().filter_map(|line| line.split_once('\t'));
        let mut values = values.filter(|(key, _)| *key == name);
        let value = values.next().map_or("", |(_, value)| value);
        value
            .split(',')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    Said {
        version: value("zk_version"),
        mode: value("zk_server_state"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_word_tells_version_and_state() {
        let wanted = Said {
            version: "3.9.5-a".into(),
            mode: "follower".into(),
        };
        let srvr = "Zookeeper version: 3.9.5-a, built on 2025\nMode: follower\n";
        assert_eq!(of_srvr(srvr), Some(wanted.clone()));
        let mntr = "zk_version\t3.9.5-a, built on 2025\nzk_server_state\tfollower\nzk_x\t1\n";
        assert_eq!(of_mntr(mntr), wanted);
        let refused = "srvr is not executed because it is not in the whitelist.\n";
        assert_eq!(
            (of_srvr(refused), of_mntr(refused)),
            (None, Said::default())
        );
    }
}
