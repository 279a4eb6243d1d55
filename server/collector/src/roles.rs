//! Who may do what: the whole table. What is not in it is denied.

use std::fmt;
use std::str::FromStr;

/// What a token's holder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A device that sends its trail. Reads nothing.
    Device,
    /// A person who asks about their own devices.
    Developer,
    /// Asks for facts, never for text.
    Analyst,
    /// Asks for facts and text, with a purpose and a ticket.
    Responder,
    /// Asks who has read what.
    Auditor,
    /// Runs the collector. Sees no trail.
    Admin,
}

impl Role {
    /// Every role, in the order of the printed table.
    pub const ALL: [Role; 6] =
        [Role::Device, Role::Developer, Role::Analyst, Role::Responder, Role::Auditor, Role::Admin];

    /// Returns the name that stands on the command line and in the archive.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Device => "device",
            Role::Developer => "developer",
            Role::Analyst => "analyst",
            Role::Responder => "responder",
            Role::Auditor => "auditor",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no role.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a role (device, developer, analyst, responder, auditor, admin)")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Role, UnknownRole> {
        Role::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

/// What can be asked of a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send batches and contents, read a cursor.
    Append,
    /// Read events, contributions and traces without text.
    Facts,
    /// Read text.
    Content,
    /// Read who has read what.
    AccessLog,
    /// See streams, cursors, gaps and forks.
    Operate,
}

impl Action {
    /// Every action, in the order of the printed table.
    pub const ALL: [Action; 5] = [Action::Append, Action::Facts, Action::Content, Action::AccessLog, Action::Operate];

    /// Returns the name that stands in the access log.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Append => "append",
            Action::Facts => "facts",
            Action::Content => "content",
            Action::AccessLog => "access_log",
            Action::Operate => "operate",
        }
    }
}

/// How far a permission reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The streams that this token's subject began.
    Own,
    /// Every stream.
    All,
}

/// Returns how far `role` may go with `action`; `None` where it may not.
pub fn reach(role: Role, action: Action) -> Option<Reach> {
    match (role, action) {
        (Role::Device, Action::Append) => Some(Reach::All),
        (Role::Developer, Action::Facts) => Some(Reach::Own),
        (Role::Analyst, Action::Facts) => Some(Reach::All),
        (Role::Responder, Action::Facts | Action::Content) => Some(Reach::All),
        (Role::Auditor, Action::AccessLog) => Some(Reach::All),
        (Role::Admin, Action::Operate) => Some(Reach::All),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_who_may_do_what_and_nothing_more() {
        let mut table = String::new();
        for role in Role::ALL {
            let cells = Action::ALL.map(|action| match reach(role, action) {
                None => format!("{}=no", action.as_str()),
                Some(Reach::Own) => format!("{}=own", action.as_str()),
                Some(Reach::All) => format!("{}=all", action.as_str()),
            });
            table += &format!("{role}: {}\n", cells.join(" "));
        }
        expect_test::expect![[r#"
            device: append=all facts=no content=no access_log=no operate=no
            developer: append=no facts=own content=no access_log=no operate=no
            analyst: append=no facts=all content=no access_log=no operate=no
            responder: append=no facts=all content=all access_log=no operate=no
            auditor: append=no facts=no content=no access_log=all operate=no
            admin: append=no facts=no content=no access_log=no operate=all
        "#]]
        .assert_eq(&table);
    }

    #[test]
    fn a_role_is_read_by_its_printed_name_alone() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse::<Role>().unwrap(), role);
        }
        assert!("root".parse::<Role>().is_err());
    }
}
