//! Claims from end to end: a person's write, the operator's answer, the cloud's books.

mod direct;
mod on_empty;
mod requests;
