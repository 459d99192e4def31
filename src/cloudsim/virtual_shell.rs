//! What sits at the console of an app that has no process: a terminal that echoes, and a shell that knows `echo` and
//! `exit`.

/// What it shows first.
pub const PROMPT: &str = "$ ";

/// A line that is being typed.
#[derive(Debug, Default)]
pub struct VirtualShell {
    line: String,
}

/// What it shows, and whether the shell has ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Shown {
    pub text: String,
    pub ended: bool,
}

impl VirtualShell {
    /// Takes what was typed.
    pub fn typed(&mut self, data: &str) -> Shown {
        let mut shown = Shown::default();
        for letter in data.chars() {
            if letter != '\r' && letter != '\n' {
                self.line.push(letter);
                shown.text.push(letter);
                continue;
            }
            shown.text.push_str("\r\n");
            let line = std::mem::take(&mut self.line);
            let words = shlex::split(&line).unwrap_or_default();
            match words.split_first() {
                Some((first, rest)) if first == "echo" => shown.text.push_str(&format!("{}\r\n", rest.join(" "))),
                Some((first, _)) if first == "exit" => {
                    shown.ended = true;
                    return shown;
                }
                Some((first, _)) => {
                    shown.text.push_str(&format!("sh: {first}: this app is virtual, nothing runs in it\r\n"));
                }
                None => {}
            }
            shown.text.push_str(PROMPT);
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_echoes_what_is_typed_and_runs_nothing_but_echo() {
        let mut shell = VirtualShell::default();
        assert_eq!(shell.typed("echo 'a'-b").text, "echo 'a'-b");
        assert_eq!(shell.typed("\r").text, "\r\na-b\r\n$ ");
        assert!(shell.typed("ls\n").text.contains("sh: ls: this app is virtual"));
        assert!(shell.typed("exit\r").ended);
    }
}
