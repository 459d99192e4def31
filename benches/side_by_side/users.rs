//! What became of the users.

/// What one user got.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Served {
    /// A sandbox, after so many simulated seconds, and whether it was warm when the user came.
    Got { waited: f64, warm: bool },
    /// Nothing in time.
    Nothing,
}

/// What became of everybody.
#[derive(Debug)]
pub struct Users {
    /// One per user, in the order of the script.
    pub served: Vec<Served>,
    /// How the end went, if there is something to say about it.
    pub remark: Option<String>,
}

impl Users {
    /// How many got one.
    pub fn got(&self) -> usize {
        self.waits().len()
    }

    /// How many got one that was warm.
    pub fn warm(&self) -> usize {
        self.served.iter().filter(|served| matches!(served, Served::Got { warm: true, .. })).count()
    }

    /// The time at which this share of those who got one had it, in simulated seconds.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let waits = self.waits();
        let rank = (share * waits.len() as f64).ceil() as usize;
        waits.get(rank.clamp(1, waits.len().max(1)) - 1).copied()
    }

    /// How long those waited who got one, shortest first.
    fn waits(&self) -> Vec<f64> {
        let wait = |served: &Served| if let Served::Got { waited, .. } = served { Some(*waited) } else { None };
        let mut waits: Vec<f64> = self.served.iter().filter_map(wait).collect();
        waits.sort_unstable_by(f64::total_cmp);
        waits
    }
}
