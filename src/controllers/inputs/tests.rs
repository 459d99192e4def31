use super::*;
use crate::api::RegistryType;
use data_encoding::BASE64;
use serde_json::json;

fn secret(data: &[(&str, &[u8])]) -> Read {
    let data: serde_json::Map<String, serde_json::Value> =
        data.iter().map(|(key, value)| ((*key).to_owned(), BASE64.encode(value).into())).collect();
    Ok(Some(serde_json::from_value(json!({"metadata": {"name": "keys"}, "data": data})).expect("a Secret")))
}

fn env(variable: &str, name: &str, key: &str) -> EnvVar {
    let source = json!({"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}});
    serde_json::from_value(source).expect("a variable")
}

fn image(registry_type: RegistryType, key: Option<&str>) -> Image {
    Image {
        registry_type,
        registry: Some("acme".into()),
        repository: "sandbox".into(),
        tag: Some("1".into()),
        digest: None,
        pull_secret_ref: key.map(|key| SecretKeyRef { name: "pull".into(), key: key.into() }),
    }
}

fn open() -> Image {
    image(RegistryType::Ghcr, None)
}

/// What a Secret named `keys` with these data makes of one variable.
fn one(found: Read) -> Result<String, String> {
    let found = BTreeMap::from([("keys", found)]);
    let inputs = resolve(&found, "team", &open(), &[env("API_KEY", "keys", "api")]);
    inputs
        .map(|inputs| inputs.env[0].1.expose().clone())
        .map_err(|error| format!("{}: {}", error.reason, error.message))
}

#[test]
fn a_value_is_taken_byte_for_byte_as_a_pod_would() {
    assert_eq!(one(secret(&[("api", b"line one\nline two\n")])), Ok("line one\nline two\n".to_owned()));
    assert_eq!(one(secret(&[("api", b"")])), Ok(String::new()));
}

#[test]
fn what_is_missing_is_named_with_field_value_and_way_out() {
    assert_eq!(
        one(Ok(None)),
        Err("SecretMissing: env[API_KEY].valueFrom.secretKeyRef.name: there is no Secret \"keys\" in namespace \"team\"; create it with key \"api\", and it goes on by itself".to_owned())
    );
    assert_eq!(
        one(secret(&[("a", b"1"), ("b", b"2")])),
        Err("SecretMissing: env[API_KEY].valueFrom.secretKeyRef.key: Secret team/keys has no key \"api\", it has a, b; name one of them or add \"api\"".to_owned())
    );
    let binary = one(secret(&[("api", &[0xff, 0xfe])])).expect_err("no text");
    assert!(binary.contains("is no UTF-8 text") && binary.contains("base64"), "{binary}");
    assert!(one(secret(&[("api", b"a\0b")])).is_err(), "no environment can hold it");
}

#[test]
fn a_read_that_failed_says_nothing_about_the_secret_s3() {
    let error = kube::Error::LinesCodecMaxLineLengthExceeded;
    let said = one(Err(error)).expect_err("unreadable");
    assert!(said.starts_with("SecretUnreadable: env[API_KEY]"), "{said}");
}

#[test]
fn several_lacks_are_counted() {
    let found = BTreeMap::from([("keys", secret(&[])), ("pull", Ok(None))]);
    let env = [env("A", "keys", "a"), env("B", "keys", "b")];
    let error = resolve(&found, "team", &image(RegistryType::Ghcr, Some("ghcr")), &env).expect_err("lacks three");
    assert!(error.message.starts_with("env[A]") && error.message.ends_with("(and 2 more)"), "{}", error.message);
}

/// What a Secret named `pull` makes of the registry's credentials.
fn pull(registry: RegistryType, key: &str, value: &[u8]) -> Result<String, String> {
    let found = BTreeMap::from([("pull", secret(&[(key, value)]))]);
    let inputs = resolve(&found, "team", &image(registry, Some(key)), &[]).map_err(|error| error.message)?;
    Ok(inputs.registry_credentials.expect("was asked for").expose().clone())
}

#[test]
fn registry_credentials_are_user_and_token() {
    assert_eq!(pull(RegistryType::Ghcr, "ghcr", b"bot:ghp_1\n"), Ok("bot:ghp_1".to_owned()));
    for bad in ["ghp_1", ":ghp_1", "bot:", "bot: ghp_1", ""] {
        let said = pull(RegistryType::Ghcr, "ghcr", bad.as_bytes()).expect_err(bad);
        assert!(said.starts_with("image.pullSecretRef.key: ") && said.contains("user:token"), "{said}");
        assert!(bad.len() < 4 || !said.contains(bad), "it never shows the value: {said}");
    }
}

#[test]
fn a_docker_configuration_gives_the_entry_that_fits_best() {
    let auth = |pair: &str| json!({"auth": BASE64.encode(pair.as_bytes())});
    let file = json!({"auths": {
        "ghcr.io": auth("all:1"),
        "https://ghcr.io/acme": auth("acme:2"),
        "ghcr.io/acme/sand": auth("other:3"),
        "https://index.docker.io/v1/": {"username": "hub", "password": "4", "email": "x"},
        "quay.io": auth("quay:5"),
    }})
    .to_string();
    let from = |registry, file: &str| pull(registry, ".dockerconfigjson", file.as_bytes());
    assert_eq!(from(RegistryType::Ghcr, &file), Ok("acme:2".to_owned()));
    assert_eq!(from(RegistryType::DockerHub, &file), Ok("hub:4".to_owned()));
    let other = json!({"auths": {"quay.io": auth("quay:5")}}).to_string();
    let said = from(RegistryType::Ghcr, &other).expect_err("no entry");
    assert!(said.contains("has no entry for ghcr.io, it has quay.io") && !said.contains("quay:5"), "{said}");
    assert!(from(RegistryType::Ghcr, "bot:ghp_1").expect_err("no file").contains("is no such file"));
    let empty = json!({"auths": {"ghcr.io": {"identitytoken": "x"}}}).to_string();
    assert!(from(RegistryType::Ghcr, &empty).expect_err("no pair").contains("neither username and password nor auth"));
}
