//! By which name the program was called: one file is `sandbar`, the plugin of kubectl, and what completes that plugin.

use std::ffi::OsStr;
use std::path::Path;

/// The name of the file by which kubectl finds its plugin.
const PLUGIN: &str = "kubectl-sandbar";
/// The name of the file that kubectl asks for completions of that plugin.
const COMPLETER: &str = "kubectl_complete-sandbar";

/// By which name this process was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invoked {
    /// `sandbar`, or anything else.
    Itself,
    /// `kubectl sandbar`.
    Plugin,
    /// By kubectl, to complete `kubectl sandbar`.
    Completer,
}

impl Invoked {
    /// As this process was called.
    pub fn now() -> Self {
        std::env::args_os().next().map_or(Self::Itself, |program| Self::by(&program))
    }

    fn by(program: &OsStr) -> Self {
        match Path::new(program).file_name().and_then(OsStr::to_str) {
            Some(PLUGIN) => Self::Plugin,
            Some(COMPLETER) => Self::Completer,
            _ => Self::Itself,
        }
    }

    /// What a person types to run it.
    pub fn typed(self) -> &'static str {
        match self {
            Self::Itself => "sandbar",
            Self::Plugin | Self::Completer => "kubectl sandbar",
        }
    }

    /// A text for people with its commands as they are typed here: whoever has the plugin may have no `sandbar`.
    pub fn told(self, text: &str) -> String {
        if self == Self::Itself {
            return text.to_owned();
        }
        let parser = super::parser();
        let is_command = |rest: &str| {
            let word = rest.split(|c: char| !c.is_ascii_lowercase() && c != '-').next().unwrap_or_default();
            parser.find_subcommand(word).is_some()
        };
        let mut told = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("sandbar ") {
            let (before, found) = rest.split_at(at);
            let after = &found["sandbar ".len()..];
            let begins = before.chars().next_back().is_none_or(|c| !c.is_alphanumeric() && !"-_./".contains(c));
            told.push_str(before);
            told.push_str(if begins && is_command(after) { "kubectl sandbar " } else { "sandbar " });
            rest = after;
        }
        told + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_file_says_what_is_typed() {
        for (program, typed) in [
            ("sandbar", "sandbar"),
            ("/usr/local/bin/sandbar", "sandbar"),
            ("/home/ada/.krew/bin/kubectl-sandbar", "kubectl sandbar"),
            ("kubectl_complete-sandbar", "kubectl sandbar"),
            ("kubectl-sandbar-other", "sandbar"),
        ] {
            assert_eq!(Invoked::by(OsStr::new(program)).typed(), typed, "{program}");
        }
    }

    #[test]
    fn commands_in_advice_are_those_of_the_plugin() {
        let told = |text| Invoked::Plugin.told(text);
        assert_eq!(
            told("sandbar ls shows them; $(sandbar claim x)"),
            "kubectl sandbar ls shows them; $(kubectl sandbar claim x)"
        );
        assert_eq!(told("kubectl sandbar-user; no sandbar is warm"), "kubectl sandbar-user; no sandbar is warm");
        assert_eq!(Invoked::Itself.told("sandbar ls"), "sandbar ls");
    }
}
