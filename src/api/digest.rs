//! Stable hashes: the same on every machine and in every version.

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

/// The first `length` characters (at most 52) of the lower-case base32 of the
/// SHA-256 over the parts, each ended by a zero byte so that they cannot run
/// into one another.
pub fn short_hash(parts: &[&str], length: usize) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    let mut text = BASE32_NOPAD.encode(&hasher.finalize()).to_lowercase();
    text.truncate(length);
    text
}

/// A number in 0.0 ≤ x < 1.0 that depends on the text alone: spreads things
/// that were made together.
pub fn hash_share(text: &str) -> f64 {
    let digest = Sha256::digest(text.as_bytes());
    let mut first = [0_u8; 4];
    first.copy_from_slice(&digest[..4]);
    f64::from(u32::from_be_bytes(first)) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_one_another() {
        assert_ne!(short_hash(&["ab", "c"], 20), short_hash(&["a", "bc"], 20));
        assert_eq!(short_hash(&["a"], 20).len(), 20);
    }

    #[test]
    fn shares_spread_over_the_unit_interval() {
        let shares: Vec<_> = (0..1000).map(|n| hash_share(&n.to_string())).collect();
        assert!(shares.iter().all(|share| (0.0..1.0).contains(share)));
        let low = shares.iter().filter(|share| **share < 0.5).count();
        assert!((400..600).contains(&low), "{low}");
    }
}
