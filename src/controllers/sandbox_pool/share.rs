//! What the pools of one account may have of it: a fair share each, claims before refill.

use crate::api::Usd;
use crate::providers::accounts::AccountLimits;

/// One pool of the account, as far as the others are concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimant {
    /// Namespace and name.
    pub key: (String, String),
    /// Members in any state, those that are made and not seen too (S5).
    pub has: usize,
    /// Those of them that cannot be given back: claimed, about to be, or on their way out.
    pub busy: usize,
    /// Requests that wait and that a member may be made for.
    pub waiting: usize,
    /// Warm ones that it would have besides.
    pub level: usize,
    /// Most that it may have by its own limit.
    pub most: usize,
    /// Price of one of its sandboxes per hour; only asked for where the account has a budget.
    pub price: Usd,
    /// Nobody knows what one more would cost, and the account has a budget: it keeps what it has and gets nothing.
    pub unpriced: bool,
}

/// What one pool may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Members in all that are its fair share now.
    pub share: usize,
    /// So many more may be made now.
    pub create: usize,
    /// So many that nobody has are to be given back, for others are below their share.
    pub give_back: usize,
}

impl Claimant {
    fn urgent(&self) -> usize {
        (self.busy + self.waiting).min(self.bound())
    }

    /// Members that it would have, were it alone.
    pub fn demand(&self) -> usize {
        (self.busy + self.waiting + self.level).min(self.bound())
    }

    fn bound(&self) -> usize {
        let most = if self.unpriced { self.most.min(self.has) } else { self.most };
        most.max(self.busy)
    }

    /// The same where its size has no price: what it has costs what is `known` of it, and `guess` for each of the rest.
    #[must_use]
    pub fn without_price(self, known: &[Usd], guess: Usd) -> Self {
        let cost = known.iter().copied().sum::<Usd>() + guess.times(self.has.saturating_sub(known.len()));
        // Each counts as the mean, rounded up.
        let count = i64::try_from(self.has.max(1)).unwrap_or(i64::MAX);
        let mean = Usd::nanos(cost.as_nanos() / count) + Usd::nanos((cost.as_nanos() % count).min(1));
        Self { price: mean, unpriced: true, ..self }
    }
}

/// What is left of an account.
struct Purse {
    count: Option<usize>,
    usd: Option<Usd>,
}

impl Purse {
    fn take(&mut self, price: Usd) -> bool {
        if self.count == Some(0) || self.usd.is_some_and(|usd| usd < price) {
            return false;
        }
        self.count = self.count.map(|count| count - 1);
        self.usd = self.usd.map(|usd| usd - price);
        true
    }
}

/// Shares an account among its pools: what is in use stays, then every waiting request gets one,
/// then every warm level, always the pool with the least first. `strangers` are members that
/// belong to none of these pools, with what they cost.
///
/// Pure, and the same for every pool that looks: each takes its own grant, and all grants together
/// keep inside the limits.
pub fn shares(limits: &AccountLimits, strangers: (usize, Usd), pools: &[Claimant]) -> Vec<Grant> {
    let mut shares: Vec<usize> = pools.iter().map(|pool| pool.busy).collect();
    let mut purse = purse(limits, strangers, pools, &shares);
    pour(&mut shares, &mut purse, pools, Claimant::urgent);
    pour(&mut shares, &mut purse, pools, Claimant::demand);

    // Slots that are free now, to those below their share.
    let mut will: Vec<usize> = pools.iter().map(|pool| pool.has).collect();
    let mut free = self::purse(limits, strangers, pools, &will);
    let bound = |level: fn(&Claimant) -> usize| -> Vec<usize> {
        pools.iter().zip(&shares).map(|(pool, share)| level(pool).min(*share)).collect()
    };
    for bound in [bound(Claimant::urgent), bound(Claimant::demand)] {
        fill(&mut will, &mut free, pools, &bound);
    }
    let mut lacking: usize = shares.iter().zip(&will).map(|(share, will)| share.saturating_sub(*will)).sum();
    let grant = |((share, will), pool): ((&usize, &usize), &Claimant)| {
        let give_back = pool.has.saturating_sub(*share).min(lacking);
        lacking -= give_back;
        Grant { share: *share, create: will - pool.has, give_back }
    };
    shares.iter().zip(&will).zip(pools).map(grant).collect()
}

fn purse(limits: &AccountLimits, strangers: (usize, Usd), pools: &[Claimant], taken: &[usize]) -> Purse {
    let count = taken.iter().sum::<usize>() + strangers.0;
    let usd = pools.iter().zip(taken).map(|(pool, taken)| pool.price.times(*taken)).sum::<Usd>() + strangers.1;
    Purse {
        count: limits.max_sandboxes.map(|most| most.saturating_sub(count)),
        usd: limits.hourly_usd.map(|most| most - usd),
    }
}

fn pour(shares: &mut [usize], purse: &mut Purse, pools: &[Claimant], level: fn(&Claimant) -> usize) {
    let bound: Vec<usize> = pools.iter().map(level).collect();
    fill(shares, purse, pools, &bound);
}

/// One by one to the pool that has the least and is below its bound, the first by name among equals.
fn fill(have: &mut [usize], purse: &mut Purse, pools: &[Claimant], bound: &[usize]) {
    let mut open: std::collections::BTreeSet<(usize, &(String, String), usize)> = (0..pools.len())
        .filter(|index| have[*index] < bound[*index])
        .map(|index| (have[index], &pools[index].key, index))
        .collect();
    while let Some((_, key, index)) = open.pop_first() {
        // Another may be cheaper: it goes on without this one.
        if purse.take(pools[index].price) {
            have[index] += 1;
            if have[index] < bound[index] {
                open.insert((have[index], key, index));
            }
        }
    }
}
