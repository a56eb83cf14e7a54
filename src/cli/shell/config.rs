//! Commands on the ensemble's configuration.

use bytes::Bytes;
use jute::Str;
use jute::proto::ReconfigRequest;

use super::commands::Call;
use super::data::print_data;
use super::failure::{Failure, OnPath};
use crate::config::ensemble::{Ensemble, Member};
use crate::config::raw::RawConfig;

/// Source: `GetConfigCommand`.
pub async fn show(call: &Call<'_>, words: &[String]) -> Result<(), Failure> {
    let parsed = call.parse(words, 1)?;
    let answer = call.client.get_config(parsed.has("w")).await;
    let answer = answer.on("/zookeeper/config")?;
    let data = answer.data.unwrap_or(Bytes::from_static(b"null"));
    match parsed.has("c") {
        true => call.out.line(&client_string(&data)),
        false => print_data(call.out, data),
    }
    if parsed.has("s") {
        call.out.stat(&answer.stat);
    }
    Ok(())
}

/// The version, and where clients find the servers. Source: `ConfigUtils.getClientConfigStr`.
fn client_string(data: &[u8]) -> String {
    let mut version = String::new();
    let mut clients = Vec::new();
    let mut entries = RawConfig::parse(data).entries().to_vec();
    entries.sort_by_key(|entry| slot(&entry.key));
    for entry in entries {
        if entry.key == "version" {
            version = entry.value;
        } else if entry.key.starts_with("server.") {
            // A server whose line does not say where leaves an empty place.
            if let Ok(member) = Member::parse(&entry.value, true) {
                let client = member.client.map(|client| {
                    let host = client.host.unwrap_or_else(|| "0.0.0.0".into());
                    format!("{host}:{}", client.port)
                });
                clients.push(client.unwrap_or_default());
            }
        }
    }
    format!("{version} {}", clients.join(","))
}

/// Where Java's `Properties` keep a key, and so the order in which they name it: 16 places, as long as there are fewer
/// than a dozen keys.
fn slot(key: &str) -> u32 {
    let hash = key.encode_utf16().fold(0u32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(unit.into())
    });
    (hash ^ (hash >> 16)) & 15
}

/// Source: `ReconfigCommand`.
pub async fn reconfig(call: &Call<'_>, words: &[String]) -> Result<(), Failure> {
    let parsed = call.parse(words, 0)?;
    let whole = parsed.has("file") || parsed.has("members");
    let incremental = parsed.has("add") || parsed.has("remove");
    if !whole && !incremental {
        return Err(call.wrong_use());
    }
    let version = match parsed.value("v").map(|text| i64::from_str_radix(text, 16)) {
        None => -1,
        Some(Ok(version)) => version,
        Some(Err(_)) => {
            let text = "-v must be followed by a long (configuration version)";
            return Err(Failure::new(text));
        }
    };
    if whole && incremental {
        return Err(Failure::new(
            "Can't use -file or -members together with -add or -remove (mixing incremental and non-incremental modes \
             is not allowed)",
        ));
    }
    if parsed.has("file") && parsed.has("members") {
        return Err(Failure::new(
            "Can't use -file and -members together (conflicting non-incremental modes)",
        ));
    }
    let lower = |name: &str| {
        parsed
            .value(name)
            .map(|text| Str::from(text.to_lowercase()))
    };
    let members = match parsed.value("file") {
        Some(file) => Some(members_of_file(file)?.into()),
        None => lower("members"),
    };
    let request = ReconfigRequest {
        joining_servers: lower("add"),
        leaving_servers: lower("remove"),
        new_members: members,
        cur_config_id: version,
    };
    let answer = call.client.reconfig(&request).await.on("")?;
    call.out.line("Committed new configuration:");
    print_data(call.out, answer.data.unwrap_or_default());
    if parsed.has("s") {
        call.out.stat(&answer.stat);
    }
    Ok(())
}

/// The members that a dynamic configuration file names, as the leader wants them.
fn members_of_file(file: &str) -> Result<String, Failure> {
    let bad = |why: String| Failure::new(format!("Error processing {file}{why}"));
    let text = std::fs::read(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => bad(format!("{file} (No such file or directory)")),
        std::io::ErrorKind::PermissionDenied => bad(format!("{file} (Permission denied)")),
        _ => bad(format!("{file} ({error})")),
    })?;
    let (ensemble, faults) = Ensemble::parse(RawConfig::parse(&text).entries(), true);
    match faults.first() {
        Some(fault) => Err(bad(format!(": {}", fault.text))),
        None => Ok(ensemble.text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_learn_the_version_and_the_addresses() {
        let data = b"server.1=a:1:2:participant;10.0.0.1:5\nserver.2=b:1:2:participant;7\n\
            server.3=c:1:2:observer\nversion=1000000a";
        // Java's table holds server.2 before server.1, and server.3 behind both.
        assert_eq!(client_string(data), "1000000a 0.0.0.0:7,10.0.0.1:5,");
        assert_eq!(client_string(b""), " ");
    }
}
