//! The commands, their options, and the lines that explain them.

/// An option of a command; Java gives it one dash whatever the length of its name.
#[derive(Debug)]
pub struct Opt {
    /// Without the dash.
    pub name: &'static str,
    /// Whether it takes an argument.
    pub argument: bool,
    /// What it is for.
    pub help: &'static str,
}

/// Options of which at most one may be given.
#[derive(Debug)]
pub struct Group {
    /// The options.
    pub options: &'static [Opt],
    /// Whether one must be given.
    pub required: bool,
}

/// A command.
#[derive(Debug)]
pub struct Command {
    /// What is typed.
    pub name: &'static str,
    /// Options and arguments, as the list of commands shows them.
    pub usage: &'static str,
    /// Options on their own.
    pub options: &'static [Opt],
    /// Options that exclude each other.
    pub group: Option<&'static Group>,
    /// Whether wrong use lists the options, too.
    explained: bool,
}

impl Command {
    const fn new(name: &'static str, usage: &'static str, options: &'static [Opt]) -> Command {
        Command {
            name,
            usage,
            options,
            group: None,
            explained: false,
        }
    }

    /// What wrong use is answered with. Source: `CliCommand.getUsageStr`.
    pub fn usage_text(&self) -> String {
        let line = format!("{} {}", self.name, self.usage);
        match self.explained {
            true => format!("{line}\n{}", self.options_text()),
            false => line,
        }
    }

    /// A line for each option. Source: `HelpFormatter.printOptions`.
    pub fn options_text(&self) -> String {
        let shown = |option: &Opt| match option.argument {
            true => format!("-{} <arg>", option.name),
            false => format!("-{}", option.name),
        };
        let width = self.options.iter().map(|option| shown(option).len()).max();
        let width = width.unwrap_or(0) + 3;
        let lines = self.options.iter();
        let lines = lines.map(|option| format!(" {:width$}{}\n", shown(option), option.help));
        lines.collect()
    }

    /// Every option, for completion.
    pub fn all_options(&self) -> impl Iterator<Item = &'static Opt> {
        let grouped = self.group.iter().flat_map(|group| group.options);
        self.options.iter().chain(grouped)
    }
}

const fn flag(name: &'static str, help: &'static str) -> Opt {
    Opt {
        name,
        argument: false,
        help,
    }
}

const fn value(name: &'static str, help: &'static str) -> Opt {
    Opt {
        name,
        argument: true,
        help,
    }
}

/// The command with this name.
pub fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// The list of commands. Source: `ZooKeeperMain.usage`.
pub fn overview() -> String {
    let mut text =
        "ZooKeeper -server host:port -client-configuration properties-file cmd args".to_owned();
    for command in COMMANDS {
        text.push_str(&format!("\n\t{} {}", command.name, command.usage));
    }
    text
}

const RECONFIG: &str = "[-s] [-v version] [[-file path] | [-members serverID=host:port1:port2;port3[,...]*]] | \
    [-add serverId=host:port1:port2;port3[,...]]* [-remove serverId[,...]*]";
const ADD_WATCH: &str = "[-m mode] path # optional mode is one of [PERSISTENT, PERSISTENT_RECURSIVE] - default is \
    PERSISTENT_RECURSIVE";

/// In the order in which Java lists them.
pub const COMMANDS: &[Command] = &[
    Command::new("addWatch", ADD_WATCH, &[value("m", "mode")]),
    Command::new("addauth", "scheme auth", &[]),
    Command::new("close", "", &[]),
    Command::new(
        "config",
        "[-c] [-w] [-s]",
        &[
            flag("c", "client connection string"),
            flag("s", "stats"),
            flag("w", "watch"),
        ],
    ),
    Command::new("connect", "host:port", &[]),
    Command::new(
        "create",
        "[-s] [-e] [-c] [-t ttl] path [data] [acl]",
        &[
            flag("c", "container"),
            flag("e", "ephemeral"),
            flag("s", "sequential"),
            value("t", "ttl"),
        ],
    ),
    Command::new("delete", "[-v version] path", &[value("v", "version")]),
    Command::new(
        "deleteall",
        "path [-b batch size]",
        &[value("b", "batch size")],
    ),
    Command {
        group: Some(&Group {
            options: &[
                flag("n", "num soft quota"),
                flag("b", "bytes soft quota"),
                flag("N", "num hard quota"),
                flag("B", "bytes hard quota"),
            ],
            required: false,
        }),
        ..Command::new("delquota", "[-n|-b|-N|-B] path", &[])
    },
    Command {
        explained: true,
        ..Command::new(
            "get",
            "[-s] [-w] [-b] [-x] path",
            &[
                flag("b", "Output data in base64 format"),
                flag("s", "Print znode stats additionally"),
                flag("w", "Watch for changes on the znode"),
                flag("x", "Output data in hexdump format"),
            ],
        )
    },
    Command::new("getAcl", "[-s] path", &[flag("s", "stats")]),
    Command::new("getAllChildrenNumber", "path", &[]),
    Command::new("getEphemerals", "path", &[]),
    Command::new("history", "", &[]),
    Command::new("listquota", "path", &[]),
    Command::new(
        "ls",
        "[-s] [-w] [-R] path",
        &[
            flag("?", "help"),
            flag("R", "recurse"),
            flag("s", "stat"),
            flag("w", "watch"),
        ],
    ),
    Command::new("printwatches", "on|off", &[]),
    Command::new("quit", "", &[]),
    Command::new(
        "reconfig",
        RECONFIG,
        &[
            value("add", "servers to add"),
            value("file", "file with the members"),
            value("members", "the members"),
            value("remove", "ids of servers to remove"),
            flag("s", "stats"),
            value("v", "version of the configuration"),
        ],
    ),
    Command::new("redo", "cmdno", &[]),
    Command::new(
        "removewatches",
        "path [-c|-d|-a] [-l]",
        &[
            flag("a", "any watcher type"),
            flag("c", "child watcher type"),
            flag("d", "data watcher type"),
            flag("l", "remove locally when there is no server connection"),
            flag("p", "persistent watcher type"),
            flag("r", "persistent recursive watcher type"),
        ],
    ),
    Command {
        explained: true,
        ..Command::new(
            "set",
            "path data [-s] [-v version] [-b]",
            &[
                flag("b", "Supply data in base64 format"),
                flag("s", "Print znode stats additionally"),
                value("v", "Set with an expected version"),
            ],
        )
    },
    Command::new(
        "setAcl",
        "[-s] [-v version] [-R] path acl",
        &[
            flag("R", "recursive"),
            flag("s", "stats"),
            value("v", "version"),
        ],
    ),
    Command {
        group: Some(&Group {
            options: &[
                value("n", "num soft quota"),
                value("b", "bytes soft quota"),
                value("N", "num hard quota"),
                value("B", "bytes hard quota"),
            ],
            required: true,
        }),
        ..Command::new("setquota", "-n|-b|-N|-B val path", &[])
    },
    Command::new("stat", "[-w] path", &[flag("w", "watch")]),
    Command::new("sync", "path", &[]),
    Command::new("version", "", &[]),
    Command::new("whoami", "", &[]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_listed_in_order() {
        assert!(COMMANDS.is_sorted_by_key(|command| command.name));
    }

    #[test]
    fn wrong_use_of_get_and_set_explains_the_options() {
        let text = find("set").unwrap().usage_text();
        let wanted = "set path data [-s] [-v version] [-b]\n \
                      -b         Supply data in base64 format\n \
                      -s         Print znode stats additionally\n \
                      -v <arg>   Set with an expected version\n";
        assert_eq!(text, wanted);
        assert_eq!(find("ls").unwrap().usage_text(), "ls [-s] [-w] [-R] path");
    }
}
