//! The pins of what is built: Go module files that are part of this program.

use sha2::{Digest, Sha256};

/// The module files that programs are built from, and how they learn their version.
pub(super) struct Module {
    /// Names its folder in the cache.
    pub(super) folder: &'static str,
    /// The release that is built.
    pub(super) version: &'static str,
    pub(super) go_mod: &'static str,
    pub(super) go_sum: &'static str,
    /// Variables that the linker sets.
    variables: &'static [(&'static str, &'static str)],
}

const KUBERNETES: &str = "v1.36.3";
const HELM_VERSION: &str = "v3.22.0";
const HELM4_VERSION: &str = "v4.3.1";
const ETCD_VERSION: &str = "v3.6.8";
const KREW_VERSION: &str = "v0.5.0";

/// etcd, the API server, its controllers, kubectl.
pub(super) const CONTROL_PLANE: Module = Module {
    folder: "controlplane",
    version: KUBERNETES,
    go_mod: include_str!("../../../deploy/local/controlplane/go.mod"),
    go_sum: include_str!("../../../deploy/local/controlplane/go.sum"),
    variables: &[("k8s.io/component-base/version.gitVersion", KUBERNETES)],
};

/// helm. It takes a cluster that it was not told about for one of the release of its Kubernetes libraries, or, without
/// these variables, for one of 1.20.
pub(super) const HELM: Module = Module {
    folder: "helm",
    version: HELM_VERSION,
    go_mod: include_str!("../../../deploy/local/helm/go.mod"),
    go_sum: include_str!("../../../deploy/local/helm/go.sum"),
    variables: &[
        ("helm.sh/helm/v3/internal/version.version", HELM_VERSION),
        ("helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor", "1"),
        ("helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor", "37"),
        ("helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor", "1"),
        ("helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor", "37"),
    ],
};

/// helm 4. It takes the release of clusters from the libraries that it is built with.
pub(super) const HELM4: Module = Module {
    folder: "helm4",
    version: HELM4_VERSION,
    go_mod: include_str!("../../../deploy/local/helm4/go.mod"),
    go_sum: include_str!("../../../deploy/local/helm4/go.sum"),
    variables: &[("helm.sh/helm/v4/internal/version.version", HELM4_VERSION)],
};

/// The clients of etcd, apart from the server: a change here must not build the API server anew.
pub(super) const ETCD: Module = Module {
    folder: "etcd",
    version: ETCD_VERSION,
    go_mod: include_str!("../../../deploy/local/etcd/go.mod"),
    go_sum: include_str!("../../../deploy/local/etcd/go.sum"),
    variables: &[],
};

/// krew.
pub(super) const KREW: Module = Module {
    folder: "krew",
    version: KREW_VERSION,
    go_mod: include_str!("../../../deploy/local/krew/go.mod"),
    go_sum: include_str!("../../../deploy/local/krew/go.sum"),
    variables: &[("sigs.k8s.io/krew/internal/version.gitTag", KREW_VERSION)],
};

impl Module {
    pub(super) fn ldflags(&self) -> String {
        let set = |(name, value): &(&str, &str)| format!(" -X {name}={value}");
        ["-s -w".to_owned()].into_iter().chain(self.variables.iter().map(set)).collect()
    }

    /// Changes with everything that goes into a build.
    pub(super) fn key(&self) -> String {
        let mut hash = Sha256::new();
        for part in [self.go_mod, self.go_sum, &self.ldflags(), std::env::consts::OS, std::env::consts::ARCH] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        format!("{}-{}", self.version, &data_encoding::HEXLOWER.encode(&hash.finalize())[..12])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_key_carries_the_version() {
        for module in [CONTROL_PLANE, HELM, HELM4, ETCD, KREW] {
            let key = module.key();
            assert!(key.starts_with(module.version) && key.len() == module.version.len() + 13, "{key}");
        }
    }

    #[test]
    fn what_is_built_is_what_is_pinned() {
        assert!(HELM4.go_mod.contains(&format!("helm.sh/helm/v4 {HELM4_VERSION}")));
        for module in [ETCD, CONTROL_PLANE] {
            assert!(module.go_mod.contains(&format!("go.etcd.io/etcd/client/v3 {ETCD_VERSION}")), "{}", module.folder);
        }
    }

    #[test]
    fn what_helm_believes_of_clusters_is_what_it_is_built_with() {
        assert!(HELM.go_mod.contains(&format!("helm.sh/helm/v3 {HELM_VERSION}")));
        let (_, minor) = HELM.variables[2];
        assert!(HELM.go_mod.contains(&format!("k8s.io/client-go v0.{minor}.")), "{minor}");
    }
}
