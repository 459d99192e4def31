//! Where a sandbox is at the operator's endpoint.

/// Path below the endpoint's address. The UID stands in it because a name is used again: who was given the address of
/// one sandbox must never meet the next one of that name.
pub(super) const PATH: &str = "/v1/namespaces/{namespace}/sandboxes/{name}/{uid}";

/// The address of one sandbox at the endpoint that is reached at `base`.
pub fn sandbox_url(base: &str, namespace: &str, name: &str, uid: &str) -> String {
    let path = PATH.replace("{namespace}", namespace).replace("{name}", name).replace("{uid}", uid);
    format!("{}{path}", base.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_one_sandbox_for_ever() {
        let url = sandbox_url("https://console.example.com/sandbar/", "team-a", "python-0", "u-1");
        assert_eq!(url, "https://console.example.com/sandbar/v1/namespaces/team-a/sandboxes/python-0/u-1");
    }
}
