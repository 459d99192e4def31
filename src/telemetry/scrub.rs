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
}
