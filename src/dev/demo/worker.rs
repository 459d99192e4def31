//! A pool of sandboxes without an address, bounded by money.

use std::time::Duration;

use super::level::books;
use super::report::Report;
use super::stage::{Stage, until};
use crate::api::conditions::Type;
use crate::failure::Failure;

/// The example that ships.
const MANIFEST: &str = "pool-worker.yaml";
const POOL: &str = "python-worker";
/// Who enters, with a token: consoles are for people whom the cluster knows.
const PERSON: &str = "ada";
const SUBJECT: &str = "--serviceaccount=default:ada";
/// More than any step takes, on a busy machine too.
const WITHIN: Duration = Duration::from_secs(90);
/// Five are wanted, and the money is enough for three of the default size.
const BUDGET: &str = r#"{"spec":{"budget":{"hourlyUsd":"0.06"},"warm":{"target":5}}}"#;
const PAID: usize = 3;
const WHY: &str = "jsonpath={.status.conditions[?(@.type==\"BudgetExceeded\")].message}{\"\\n\"}";

/// Enters one through the provider's console, and lets the pool meet its budget.
pub async fn enter(stage: &Stage, report: &mut Report) -> Result<(), Failure> {
    report.step("A third pool: no address, entered through the operator, bounded by a budget");
    stage.write(MANIFEST, include_str!("../../../deploy/examples/pool-worker.yaml"))?;
    stage.kubectl(report, &["apply", "-f", MANIFEST]).await?;
    stage.kubectl(report, &["create", "serviceaccount", PERSON]).await?;
    stage.kubectl(report, &["create", "rolebinding", "ada-enters", "--clusterrole=sandbar-enter", SUBJECT]).await?;
    let run = stage.sandbar(report, &["claim", POOL, "-o", "name"]).await?.out.trim().to_owned();
    let printed = stage.sandbar_as(report, PERSON, &["exec", &run, "--", "echo inside"]).await?.out.trim().to_owned();
    report.note("no address, and still entered", printed == "inside", format!("{printed:?} through the console"));
    stage.kubectl(report, &["patch", "sandboxpool", POOL, "--type=merge", "-p", BUDGET]).await?;
    until(WITHIN, "the budget is told", async || {
        let conditions = stage.pools.get(POOL).await?.status.unwrap_or_default().conditions;
        let told = |kind: &str| conditions.iter().any(|found| found.type_ == kind && found.status == "True");
        Ok((told(Type::BudgetExceeded.as_str()) && books(stage).await?.left == PAID).then_some(()))
    })
    .await?;
    stage.kubectl(report, &["get", "sandboxpool", POOL, "-o", WHY]).await?;
    stage.sandbar(report, &["cost"]).await?;
    let left = books(stage).await?.left;
    report.note("a budget: no app too many", left == PAID, format!("{left} apps for 6 wanted and 0.06 USD per hour"));
    stage.sandbar(report, &["release", &run]).await?;
    stage.kubectl(report, &["delete", "-f", MANIFEST, "--timeout=90s"]).await?;
    let books = books(stage).await?;
    report.note("the third pool: none left", (books.left, books.twice) == (0, 0), format!("{} apps", books.left));
    Ok(())
}
