//! `--max-size`.

use std::str::FromStr;

/// A number of bytes, written with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(u64);

impl Size {
    /// In bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is not a size; write a number and KiB, MiB or GiB, such as 500MiB");
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let number: u64 = text[..digits].parse().map_err(|_| bad())?;
        let unit: u64 = match &text[digits..] {
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(bad()),
        };
        number.checked_mul(unit).filter(|bytes| *bytes > 0).map(Self).ok_or_else(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit() {
        let bytes = |text: &str| text.parse::<Size>().map(Size::bytes);
        assert_eq!([bytes("1KiB"), bytes("500MiB"), bytes("2GiB")], [Ok(1024), Ok(524_288_000), Ok(2_147_483_648)]);
        for bad in ["", "5", "MiB", "0GiB", "1GB", "-1MiB", "99999999999GiB", "1.5GiB"] {
            assert!(bytes(bad).is_err_and(|error| error.contains("500MiB")), "{bad}");
        }
    }
}
