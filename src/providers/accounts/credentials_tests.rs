use super::*;
use crate::api::conditions::Reason;
use serde_json::json;

fn secret(annotation: Option<&str>, data: &serde_json::Value) -> core::Secret {
    let mut secret = json!({"metadata": {"name": "do", "namespace": "system"}, "data": data});
    if let Some(allowed) = annotation {
        secret["metadata"]["annotations"] = json!({ALLOWED_NAMESPACES_ANNOTATION: allowed});
    }
    serde_json::from_value(secret).expect("a Secret")
}

fn reference(namespace: Option<&str>) -> CredentialsRef {
    CredentialsRef { namespace: namespace.map(str::to_owned), name: "do".to_owned(), key: "token".to_owned() }
}

/// base64 of `hush` and a line break.
const HUSH: &str = "aHVzaAo=";

#[test]
fn a_token_is_read_without_the_line_break_that_editors_add() {
    let secret = secret(None, &json!({"token": HUSH}));
    let token = token_in(Some(&secret), "system", &reference(None)).expect("is there");
    assert_eq!(token.expose(), "hush");
}

#[test]
fn another_namespaces_secret_must_allow_the_pools_namespace() {
    let data = json!({"token": HUSH});
    for (annotation, allowed) in [
        (None, false),
        (Some(""), false),
        (Some("team"), true),
        (Some("a, team ,b"), true),
        (Some("*"), true),
        (Some("teams"), false),
    ] {
        let secret = secret(annotation, &data);
        let result = token_in(Some(&secret), "team", &reference(Some("system")));
        assert_eq!(result.is_ok(), allowed, "{annotation:?}");
        if let Err(error) = result {
            assert_eq!(error.reason(), Reason::CredentialsNotAllowed);
            assert!(error.to_string().contains("system/do") && error.to_string().contains("\"team\""), "{error}");
        }
    }
}

#[test]
fn what_is_wrong_is_told_with_field_value_and_way_out_and_never_the_token() {
    let cases = [
        (None, "credentialsRef.name: there is no Secret \"do\" in namespace \"system\"; create it"),
        (
            Some(secret(None, &json!({}))),
            "credentialsRef.key: Secret system/do has no key \"token\", it has no keys at all",
        ),
        (Some(secret(None, &json!({"tokn": HUSH}))), "it has tokn; name one of them"),
        (Some(secret(None, &json!({"token": ""}))), "under \"token\" of Secret system/do is empty; put"),
        (Some(secret(None, &json!({"token": "/w=="}))), "is no text; put"),
        (Some(secret(None, &json!({"token": "aHVzaCBodXNo"}))), "is more than one word"),
    ];
    for (secret, said) in cases {
        let error = token_in(secret.as_ref(), "system", &reference(None)).expect_err(said);
        assert_eq!(error.reason(), Reason::CredentialsMissing);
        let text = error.to_string();
        assert!(text.contains(said), "{text}");
        assert!(!text.contains("hush"), "{text}");
    }
}
