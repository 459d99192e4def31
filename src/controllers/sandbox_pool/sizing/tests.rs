//! What the sizing rule promises: bounds, no flapping, and a day of demand.

mod day;
mod rule;
mod shop;
