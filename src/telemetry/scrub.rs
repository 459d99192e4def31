//! Takes provider tokens out of text that came from outside.

use std::borrow::Cow;

/// How DigitalOcean's tokens begin: personal, OAuth, refresh.
const TOKEN_PREFIXES: [&str; 3] = ["dop_v1_", "doo_v1_", "dor_v1_"];

/// Takes anything that looks like a provider token out of a text that came
/// from outside, such as an error body that repeats the request.
pub fn scrub(text: &str) -> Cow<'_, str> {
    let mut clean = Cow::Borrowed(text);
    for prefix in TOKEN_PREFIXES {
        let mut from = 0;
        while let Some(found) = clean[from..].find(prefix) {
            let start = from + found + prefix.len();
            let length = clean[start..].bytes().take_while(u8::is_ascii_alphanumeric).count();
            clean.to_mut().replace_range(start..start + length, "***");
            from = start;
        }
    }
    clean
}

/// Shorter values are in every text by chance.
const SHORTEST: usize = 4;

/// Takes these values out of a text that came from outside, and what a cut at its end left of one.
pub fn hide<'a>(text: &str, values: impl Iterator<Item = &'a str>) -> String {
    let mut values: Vec<&str> = values.filter(|value| value.len() >= SHORTEST).collect();
    // A value may be part of another.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    let mut clean = values.iter().fold(text.to_owned(), |text, value| text.replace(value, "***"));
    let cut = |value: &&str| {
        let lengths = (SHORTEST..value.len()).rev().filter(|length| value.is_char_boundary(*length));
        lengths.into_iter().find(|length| clean.ends_with(&value[..*length]))
    };
    if let Some(length) = values.iter().filter_map(cut).max() {
        clean.replace_range(clean.len() - length.., "***");
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_loses_its_tokens() {
        let text = "bad dop_v1_0123abcd, doo_v1_ff and dop_v1_4567";
        assert_eq!(scrub(text), "bad dop_v1_***, doo_v1_*** and dop_v1_***");
        assert!(matches!(scrub("nothing here: dop_v2"), Cow::Borrowed(_)));
        assert_eq!(scrub("ends in dop_v1_"), "ends in dop_v1_***");
    }

    #[test]
    fn given_values_go_whole_and_cut() {
        let hidden = || ["hunter22", "bot:hunter22", "abc"].into_iter();
        assert_eq!(hide("bad value hunter22 of bot:hunter22, abc", hidden()), "bad value *** of ***, abc");
        assert_eq!(hide("cut in the middle: bot:hunt", hidden()), "cut in the middle: ***");
        assert_eq!(hide("cut in the middle: hun", hidden()), "cut in the middle: hun");
        assert_eq!(hide("ends in péch", ["péché!"].into_iter()), "ends in ***");
    }
}
