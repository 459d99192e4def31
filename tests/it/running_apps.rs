//! A scene in a cloud of its own, whose apps are processes.

use sandbar::cloudsim::admin::SimAdmin;
use sandbar::cloudsim::{CloudSim, Options, Running};
use std::collections::BTreeMap;

use crate::scene::Scene;
use crate::world::{OperatorSpec, PROGRAM, TestOperator, World, quick_account};

/// The scene, its cloud, and what its operator says.
pub struct RunningApps {
    pub scene: Scene,
    pub cloud: Running,
    pub admin: SimAdmin,
    /// The operator's, with all its details.
    pub log: tempfile::NamedTempFile,
}

impl RunningApps {
    /// With a quick operator and a quick account.
    pub async fn start(test: &str) -> Self {
        let env = World::get().await.test(test).await;
        let accounts = BTreeMap::from([(env.account.clone(), quick_account(env.token.clone()))]);
        let options = Options { accounts, agent_program: Some(PROGRAM.into()), ..Options::default() };
        let cloud = CloudSim::start(options).await.expect("a cloud whose apps run");
        let log = tempfile::NamedTempFile::new().expect("a file");
        let mut operator = env.world.local().operator_options();
        cloud.url().clone_into(&mut operator.cloud_url);
        operator.server.arguments =
            ["--watch-namespace", &env.namespace, "--lease-name", &env.namespace, "--log", "debug"]
                .map(str::to_owned)
                .into_iter()
                .chain(OperatorSpec::default().flags())
                .collect();
        operator.server.log = log.path().to_owned();
        let operator = TestOperator::start(operator).await;
        let (pools, sandboxes) = (env.api(), env.api());
        let watcher = env.watcher().await;
        let admin = SimAdmin::new(cloud.url());
        Self { scene: Scene { env, operator, watcher, pools, sandboxes }, cloud, admin, log }
    }
}
