//! What a script says: lines that begin with the session's nonce. Everything else on the terminal is noise.

use super::ConsoleError;
use data_encoding::BASE64;

/// The longest line that is ever sent, with room for a nonce.
const MAX_LINE: usize = 8 * 1024;

/// One line of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is about.
    pub word: String,
    /// The rest of the line.
    pub rest: String,
}

/// Finds a session's frames in what its terminal shows.
#[derive(Debug)]
pub struct Frames {
    nonce: String,
    open: String,
}

impl Frames {
    /// Of the session with this nonce.
    pub fn new(nonce: &str) -> Self {
        Self { nonce: nonce.to_owned(), open: String::new() }
    }

    /// Adds what was shown; gives the frames that are now complete.
    pub fn add(&mut self, shown: &str) -> Vec<Frame> {
        let mut frames = Vec::new();
        for piece in shown.split_inclusive('\n') {
            if self.open.len() + piece.len() <= MAX_LINE {
                self.open.push_str(piece);
            } else {
                // Longer than any frame: noise, whatever it begins with. Its end is looked for all the same.
                self.open = if piece.ends_with('\n') { "\n".to_owned() } else { "x".repeat(MAX_LINE) };
            }
            if self.open.ends_with('\n') {
                frames.extend(self.frame());
                self.open.clear();
            }
        }
        frames
    }

    fn frame(&self) -> Option<Frame> {
        let line = self.open.trim_end_matches(['\r', '\n']);
        let said = line.strip_prefix(&self.nonce)?.strip_prefix(' ')?;
        let (word, rest) = said.split_once(' ').unwrap_or((said, ""));
        Some(Frame { word: word.to_owned(), rest: rest.to_owned() })
    }
}

/// One output, in numbered lines.
#[derive(Debug, Default)]
pub struct Numbered {
    next: u64,
    ended: bool,
}

impl Numbered {
    /// The bytes of `NUMBER BASE64`.
    ///
    /// # Errors
    /// When a line is missing, came twice, or is torn.
    pub fn line(&mut self, rest: &str) -> Result<Vec<u8>, ConsoleError> {
        let (number, text) = rest.split_once(' ').ok_or(ConsoleError::Damaged("a line is torn"))?;
        if number.parse() != Ok(self.next) || self.ended {
            return Err(ConsoleError::Damaged("a line is missing"));
        }
        self.next += 1;
        bytes(text)
    }

    /// Takes note of the number of lines, which is told last.
    ///
    /// # Errors
    /// When it is another one.
    pub fn end(&mut self, rest: &str) -> Result<(), ConsoleError> {
        self.ended = true;
        if rest.parse() == Ok(self.next) { Ok(()) } else { Err(ConsoleError::Damaged("a line is missing")) }
    }

    /// Whether its end was told.
    pub fn is_whole(&self) -> bool {
        self.ended
    }
}

/// The bytes of a line of base64.
///
/// # Errors
/// When it is none.
pub fn bytes(text: &str) -> Result<Vec<u8>, ConsoleError> {
    BASE64.decode(text.as_bytes()).map_err(|_| ConsoleError::Damaged("a line is torn"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(shown: &str) -> Vec<String> {
        Frames::new("abc").add(shown).into_iter().map(|frame| format!("{}:{}", frame.word, frame.rest)).collect()
    }

    #[test]
    fn only_lines_with_the_nonce_are_frames() {
        assert_eq!(words("$ stty\r\nabc go\nabcd no\n abc no\nabc exit 3\r\nabc half"), ["go:", "exit:3"]);
        let noise = format!("abc {}\nabc go\n", "x".repeat(3 * MAX_LINE));
        assert_eq!(words(&noise), ["go:"], "no line grows without an end");
    }

    #[test]
    fn a_missing_a_second_and_a_torn_line_are_noticed() {
        let lines = |lines: &[&str]| {
            let mut numbered = Numbered::default();
            lines.iter().try_fold(Vec::new(), |mut all, line| {
                all.extend(numbered.line(line)?);
                Ok::<_, ConsoleError>(all)
            })
        };
        assert_eq!(lines(&["0 YQ==", "1 Yg=="]).expect("whole"), b"ab");
        for bad in [&["1 YQ=="][..], &["0 YQ==", "0 YQ=="], &["0 YQ="], &["YQ=="]] {
            assert!(lines(bad).is_err(), "{bad:?}");
        }
        let mut numbered = Numbered::default();
        assert!(numbered.end("1").is_err(), "the last line was lost");
    }

    proptest! {
        #[test]
        fn frames_are_the_same_however_they_arrive(cut in 1usize..9, noise in "[ a-c$\r\n]{0,30}") {
            let shown = format!("{noise}\nabc o 0 YQ==\r\n{noise}\nabc exit 0\n");
            let mut frames = Frames::new("abc");
            let pieces: Vec<char> = shown.chars().collect();
            let got: Vec<Frame> = pieces.chunks(cut).flat_map(|piece| frames.add(&piece.iter().collect::<String>())).collect();
            prop_assert_eq!(got, Frames::new("abc").add(&shown));
        }
    }
}
