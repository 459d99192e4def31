//! The existing library's own client, `SandboxServiceClient` of do-app-sandbox, against this agent.

use super::{Agent, TOKEN};
use crate::python;
use std::path::Path;
use std::process::Command;

#[test]
fn the_public_service_client_works_with_this_agent() {
    let Some(python) = python::venv() else { return };
    // Frequent heartbeats: the client must not stumble over them.
    let agent = Agent::start_with(|command| {
        command.env("SANDBOX_API_TOKEN", TOKEN).args(["--heartbeat-ms", "40"]);
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/agent_sdk.py");
    let mut command = Command::new(python);
    command.arg(script).arg(&agent.base).env("TOKEN", TOKEN);
    for proxy in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    let output = command.output().unwrap();
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.ends_with("all held\n"), "{said}{errors}");
}
