//! What a session's terminal shows, and the part of it that belongs to the command that runs there.

use super::typed::Words;
use crate::agent::server::exec::Captured;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The longest exit code as text.
const MAX_CODE: usize = 11;

/// How far the newest command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The shell has not taken it up.
    Waiting,
    /// It runs.
    Begun,
    /// It has ended, with this code.
    Ended(i32),
}

/// A terminal's output: everything is read, and what belongs to no command is dropped.
#[derive(Debug)]
pub struct Screen {
    capture: Mutex<Option<Capture>>,
    stage: watch::Sender<Stage>,
}

impl Default for Screen {
    fn default() -> Self {
        Self { capture: Mutex::default(), stage: watch::Sender::new(Stage::Ended(0)) }
    }
}

impl Screen {
    fn capture(&self) -> MutexGuard<'_, Option<Capture>> {
        self.capture.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the output between these words.
    pub fn expect(&self, words: &Words) -> watch::Receiver<Stage> {
        let mut capture = self.capture();
        *capture = Some(Capture::new(words));
        self.stage.send_replace(Stage::Waiting);
        self.stage.subscribe()
    }

    /// Takes what the terminal shows.
    pub fn show(&self, bytes: &[u8]) {
        if let Some(capture) = self.capture().as_mut() {
            capture.add(bytes);
            let stage = capture.stage;
            self.stage.send_if_modified(|known| std::mem::replace(known, stage) != stage);
        }
    }

    /// The command's output so far; what comes later belongs to nobody.
    pub fn take(&self) -> String {
        self.capture().take().map(Capture::text).unwrap_or_default()
    }
}

/// The output of one command.
#[derive(Debug)]
struct Capture {
    begin: Vec<u8>,
    end: Vec<u8>,
    /// May be the beginning of a word.
    open: Vec<u8>,
    kept: Captured,
    stage: Stage,
}

impl Capture {
    fn new(words: &Words) -> Self {
        let (begin, end) = (words.begin().into_bytes(), words.end().into_bytes());
        Self { begin, end, open: Vec::new(), kept: Captured::default(), stage: Stage::Waiting }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.open.extend_from_slice(bytes);
        if self.stage == Stage::Waiting {
            match find(&self.open, &self.begin) {
                Some(at) => {
                    self.open.drain(..at + self.begin.len());
                    self.stage = Stage::Begun;
                }
                None => self.settle(self.open.len().saturating_sub(self.begin.len() - 1), false),
            }
        }
        if self.stage == Stage::Begun {
            match find(&self.open, &self.end) {
                Some(at) => {
                    self.settle(at, true);
                    self.close();
                }
                None => self.settle(self.open.len().saturating_sub(self.end.len() - 1), true),
            }
        }
    }

    /// The first bytes are no part of a word.
    fn settle(&mut self, count: usize, keep: bool) {
        if keep {
            self.kept.add(&self.open[..count]);
        }
        self.open.drain(..count);
    }

    /// The word of the end stands in front; behind it comes the code.
    fn close(&mut self) {
        let rest = &self.open[self.end.len()..];
        let code = rest.iter().position(|byte| *byte == Words::CLOSE).map(|at| &rest[..at]);
        let code =
            code.filter(|code| code.len() <= MAX_CODE).and_then(|code| std::str::from_utf8(code).ok()?.parse().ok());
        if let Some(code) = code {
            self.stage = Stage::Ended(code);
            self.open.clear();
        }
    }

    fn text(mut self) -> String {
        // The word never came, so this was none.
        if self.stage == Stage::Begun && !self.open.starts_with(&self.end) {
            self.kept.add(&std::mem::take(&mut self.open));
        }
        self.kept.text("output")
    }
}

fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    bytes.windows(word.len()).position(|window| window == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_output_is_the_same_however_the_bytes_arrive(
            noise in "[a-c\x1e0]{0,60}",
            output in "[a-cä\x1e\n0 ]{0,90}",
            code in 0..256,
            cut in 1usize..50,
        ) {
            let words = Words::new();
            let all = format!("{noise}{}{output}{}{code}\x1eprompt{}7\x1e", words.begin(), words.end(), words.end());
            let screen = Screen::default();
            let stage = screen.expect(&words);
            for chunk in all.as_bytes().chunks(cut) {
                screen.show(chunk);
            }
            prop_assert_eq!(*stage.borrow(), Stage::Ended(code));
            prop_assert_eq!(screen.take(), output);
        }
    }

    #[test]
    fn what_belongs_to_no_command_is_dropped() {
        let (first, second) = (Words::new(), Words::new());
        let screen = Screen::default();
        screen.show(b"a prompt");
        screen.expect(&first);
        screen.show(format!("{}one{}0\x1eafter", first.begin(), first.end()).as_bytes());
        assert_eq!(screen.take(), "one");
        let stage = screen.expect(&second);
        screen.show(format!("late {}0\x1e", first.end()).as_bytes());
        assert_eq!(*stage.borrow(), Stage::Waiting);
        screen.show(format!("{}cut off\x1e", second.begin()).as_bytes());
        assert_eq!((*stage.borrow(), screen.take().as_str()), (Stage::Begun, "cut off\x1e"));
    }
}
