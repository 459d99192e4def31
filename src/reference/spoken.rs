//! What a rule says, out of the CEL expression that makes its message.

/// What stands for a value that is only known when a rule refuses it.
const VALUE: &str = "…";

/// The literal parts of a message, with [`VALUE`] for every other.
pub fn spoken(expression: &str) -> String {
    let mut said = String::new();
    let mut depth = 0_usize;
    let mut letters = expression.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => {
                let literal = literal(&mut letters);
                if depth == 0 {
                    said.push_str(&literal);
                }
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '+' | ' ' => continue,
            _ => {}
        }
        if letter != '\'' && !said.ends_with(VALUE) {
            said.push_str(VALUE);
        }
    }
    said
}

/// The rest of a literal, up to the quote that ends it.
fn literal(letters: &mut std::str::Chars<'_>) -> String {
    let mut text = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => break,
            '\\' => text.extend(letters.next()),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_kept_and_values_are_left_open() {
        assert_eq!(spoken("'P1: name: ' + self.name + ' is too long'"), "P1: name: … is too long");
        assert_eq!(spoken("'P2: ' + (has(self.a) ? 'x' : string(self.b)) + '; set one'"), "P2: …; set one");
        assert_eq!(spoken(r"'the operator\'s own'"), "the operator's own");
        assert_eq!(spoken("self.a + self.b[0]"), "…");
    }
}
