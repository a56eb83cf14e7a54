//! Which command does what; the small ones are here.

use bytes::Bytes;

use super::failure::{Failure, OnPath};
use super::parse::{Parsed, parse};
use super::print::Out;
use super::table::{self, Command};
use super::{config, data, quota};
use crate::admin;
use crate::client::{Client, RemoveKind, WatchMode};

/// What a command works with.
pub struct Call<'a> {
    pub client: &'a Client,
    pub out: &'a Out,
    pub command: &'static Command,
}

/// Runs a command that needs a session; those of the shell itself are no commands here and do nothing.
///
/// # Errors
/// Wrong use, or why the operation failed.
pub async fn execute(client: &Client, out: &Out, words: &[String]) -> Result<(), Failure> {
    let Some(command) = words.first().and_then(|name| table::find(name)) else {
        return Ok(());
    };
    let call = Call {
        client,
        out,
        command,
    };
    match command.name {
        "addWatch" => call.add_watch(words).await,
        "addauth" => call.add_auth(words).await,
        "close" => {
            client.close().await;
            Ok(())
        }
        "config" => config::show(&call, words).await,
        "create" => data::create(&call, words).await,
        "delete" => data::delete(&call, words).await,
        "deleteall" => data::delete_all(&call, words).await,
        "delquota" => quota::delete(&call, words).await,
        "get" => data::get(&call, words).await,
        "getAcl" => data::get_acl(&call, words).await,
        "getAllChildrenNumber" => call.all_children_number(words).await,
        "getEphemerals" => call.ephemerals(words).await,
        "listquota" => quota::list(&call, words).await,
        "ls" => data::list(&call, words).await,
        "reconfig" => config::reconfig(&call, words).await,
        "removewatches" => call.remove_watches(words).await,
        "set" => data::set(&call, words).await,
        "setAcl" => data::set_acl(&call, words).await,
        "setquota" => quota::set(&call, words).await,
        "stat" => data::stat(&call, words).await,
        "sync" => call.sync(words).await,
        "version" => call.version(words),
        "whoami" => call.who_am_i().await,
        _ => Ok(()),
    }
}

impl Call<'_> {
    /// Cuts the words, of which at least `least` must be no options, the command among them.
    pub fn parse(&self, words: &[String], least: usize) -> Result<Parsed, Failure> {
        let parsed = parse(self.command, words)?;
        match parsed.args.len() < least {
            true => Err(self.wrong_use()),
            false => Ok(parsed),
        }
    }

    /// The answer to wrong use.
    pub fn wrong_use(&self) -> Failure {
        Failure::new(self.command.usage_text())
    }

    /// As [`Call::parse`], for commands of old, whose word behind the path asked for a watch. It takes the place of
    /// the third word, whatever that is, as in Java.
    pub fn parse_with_old_watch(
        &self,
        words: &[String],
        least: usize,
        use_instead: &str,
    ) -> Result<Parsed, Failure> {
        let parsed = self.parse(words, least)?;
        if parsed.args.len() <= 2 {
            return Ok(parsed);
        }
        let name = self.command.name;
        self.out.error(&format!(
            "'{name} path [watch]' has been deprecated. Please use '{use_instead}' instead."
        ));
        let mut words = words.to_vec();
        words[2] = "-w".into();
        parse(self.command, &words)
    }

    async fn add_auth(&self, words: &[String]) -> Result<(), Failure> {
        let parsed = self.parse(words, 2)?;
        let auth = parsed.args.get(2).map(|text| Bytes::from(text.clone()));
        // A refusal is an event, and the end of the session; a loss is said again on the next connection.
        let _ = self.client.add_auth(&parsed.args[1], auth).await;
        Ok(())
    }

    async fn add_watch(&self, words: &[String]) -> Result<(), Failure> {
        let parsed = self.parse(words, 2)?;
        if parsed.args.len() != 2 {
            return Err(self.wrong_use());
        }
        let mode = parsed.value("m").unwrap_or("PERSISTENT_RECURSIVE");
        let mode = match mode.to_uppercase().as_str() {
            "PERSISTENT" => WatchMode::Persistent,
            "PERSISTENT_RECURSIVE" => WatchMode::PersistentRecursive,
            _ => return Err(self.wrong_use()),
        };
        let path = &parsed.args[1];
        self.client.add_watch(path, mode).await.on(path)
    }

    async fn remove_watches(&self, words: &[String]) -> Result<(), Failure> {
        let parsed = self.parse(words, 2)?;
        let kinds = [
            ("c", RemoveKind::Children),
            ("d", RemoveKind::Data),
            ("p", RemoveKind::Persistent),
            ("r", RemoveKind::PersistentRecursive),
        ];
        let kind = kinds.into_iter().find(|(option, _)| parsed.has(option));
        let kind = kind.map_or(RemoveKind::Any, |(_, kind)| kind);
        let path = &parsed.args[1];
        let removed = self.client.remove_watches(path, kind, parsed.has("l"));
        removed.await.on(path)
    }

    async fn all_children_number(&self, words: &[String]) -> Result<(), Failure> {
        let parsed = self.parse(words, 2)?;
        let path = &parsed.args[1];
        let number = self.client.get_all_children_number(path).await.on(path)?;
        self.out.line(&number.to_string());
        Ok(())
    }

    async fn ephemerals(&self, words: &[String]) -> Result<(), Failure> {
        let parsed = self.parse(words, 0)?;
        let prefix = parsed.args.get(1).map_or("/", String::as_str);
        let paths = self.client.get_ephemerals(prefix).await.on("")?;
        self.out.line(&format!("[{}]", paths.join(", ")));
        Ok(())
    }

    async fn sync(&self, words: &[String]) -> Result<(), Failure> {
        let parsed = self.parse(words, 2)?;
        match self.client.sync(&parsed.args[1]).await {
            Ok(()) => self.out.line("Sync is OK"),
            Err(crate::client::Error::Path(error)) => return Err(Failure::new(error.to_string())),
            Err(error) => {
                let code = error.code().0;
                self.out.line(&format!("Sync has failed. rc={code}"));
            }
        }
        Ok(())
    }

    fn version(&self, words: &[String]) -> Result<(), Failure> {
        let parsed = self.parse(words, 0)?;
        if parsed.args.len() > 1 {
            return Err(self.wrong_use());
        }
        let version = admin::version();
        self.out.line(&format!("ZooKeeper CLI version: {version}"));
        Ok(())
    }

    async fn who_am_i(&self) -> Result<(), Failure> {
        let who = self.client.who_am_i().await.on("")?;
        self.out.line("Auth scheme: User");
        for one in who {
            let (scheme, user) = (
                one.auth_scheme.unwrap_or_default(),
                one.user.unwrap_or_default(),
            );
            self.out.line(&format!("{scheme}: {user}"));
        }
        Ok(())
    }
}

/// A number as Java reads it from an option, with Java's words where it is none.
///
/// # Errors
/// Not a number of that size.
pub fn number<T: std::str::FromStr>(text: &str) -> Result<T, Failure> {
    text.parse()
        .map_err(|_| Failure::new(format!("For input string: \"{text}\"")))
}

/// The version that `-v` names; -1, which stands for any, without it.
///
/// # Errors
/// Not a number.
pub fn expected_version(parsed: &Parsed) -> Result<i32, Failure> {
    parsed.value("v").map_or(Ok(-1), number)
}
