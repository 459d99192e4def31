//! Bytes into lines, of bounded length.

/// The longest line that is sent in one piece, in bytes.
pub const MAX_LINE: usize = 64 * 1024;

/// Collects bytes and gives whole lines.
#[derive(Debug, Default)]
pub struct Lines {
    open: Vec<u8>,
}

impl Lines {
    /// Adds bytes; gives the lines that are now complete, without their newlines.
    pub fn add(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            match piece.split_last() {
                Some((b'\n', rest)) => {
                    self.grow(rest, &mut lines);
                    lines.push(text(&self.open));
                    self.open.clear();
                }
                _ => self.grow(piece, &mut lines),
            }
        }
        lines
    }

    /// The last line, when it has no newline.
    pub fn rest(self) -> Option<String> {
        if self.open.is_empty() { None } else { Some(text(&self.open)) }
    }

    fn grow(&mut self, bytes: &[u8], lines: &mut Vec<String>) {
        self.open.extend_from_slice(bytes);
        while self.open.len() > MAX_LINE {
            let tail = self.open.split_off(character_boundary(&self.open));
            lines.push(text(&std::mem::replace(&mut self.open, tail)));
        }
    }
}

/// The last place up to [`MAX_LINE`] that does not cut a UTF-8 character; characters have at most 4 bytes.
fn character_boundary(bytes: &[u8]) -> usize {
    let starts_here = |at: &usize| bytes.get(*at).is_none_or(|byte| byte & 0xC0 != 0x80);
    (MAX_LINE - 3..=MAX_LINE).rev().find(starts_here).unwrap_or(MAX_LINE)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lines_are_the_same_however_the_bytes_arrive(input in "[a-cäß\n]{0,80}", cut in 1usize..7) {
            let mut lines = Lines::default();
            let mut got: Vec<String> = input.as_bytes().chunks(cut).flat_map(|chunk| lines.add(chunk)).collect();
            got.extend(lines.rest());
            let want: Vec<&str> = input.split_terminator('\n').collect();
            prop_assert_eq!(got, want);
        }
    }

    #[test]
    fn a_long_line_comes_in_pieces_that_keep_characters_whole() {
        let long = "ä".repeat(MAX_LINE);
        let mut lines = Lines::default();
        let mut got = lines.add(&[b"x", long.as_bytes()].concat());
        got.extend(lines.rest());
        assert!(got.iter().all(|line| line.len() <= MAX_LINE));
        assert_eq!(got.concat(), format!("x{long}"));
    }
}
