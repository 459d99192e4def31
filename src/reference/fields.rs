//! The fields of a kind, out of its schema.

use serde_json::Value;

/// One field.
pub struct Field {
    /// Its path, such as `spec.apps[].name`.
    pub path: String,
    /// What it is, such as `list of string`.
    pub kind: String,
    /// What it is when it is left out; `required` if it must not be.
    pub default: String,
    /// What the API server takes, such as `1 to 40 characters`.
    pub bounds: String,
    /// What it is for.
    pub description: String,
}

/// Every field below a node, each parent before its children.
pub fn fields(node: &Value, path: &str) -> Vec<Field> {
    let mut found = Vec::new();
    let required: Vec<&str> = node["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, child) in node["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        found.push(field(&path, child, required.contains(&name.as_str())));
        let (inner, path) = below(child, path);
        found.extend(fields(inner, &path));
    }
    found
}

/// Where the fields of a field are: its own, those of a list's items, or those of a map's values.
fn below(mut node: &Value, mut path: String) -> (&Value, String) {
    loop {
        let (inner, step) = match (node.get("items"), node.get("additionalProperties")) {
            (Some(items), _) => (items, "[]"),
            (_, Some(values)) if values.is_object() => (values, ".*"),
            _ => return (node, path),
        };
        path.push_str(step);
        node = inner;
    }
}

fn field(path: &str, node: &Value, required: bool) -> Field {
    let default = match node.get("default") {
        Some(default) => format!("`{default}`"),
        None if required => "required".to_owned(),
        None => String::new(),
    };
    let described = node["description"].as_str().unwrap_or_default();
    Field { path: path.to_owned(), kind: kind(node), default, bounds: bounds(node), description: described.to_owned() }
}

fn kind(node: &Value) -> String {
    if let Some(items) = node.get("items") {
        return format!("list of {}", kind(items));
    }
    if let Some(values) = node.get("additionalProperties").filter(|values| values.is_object()) {
        return format!("map of {}", kind(values));
    }
    if node["x-kubernetes-int-or-string"] == true {
        return "integer or string".to_owned();
    }
    match (node["type"].as_str(), node["format"].as_str()) {
        (Some("string"), Some("date-time")) => "time".to_owned(),
        (Some(kind), _) => kind.to_owned(),
        (None, _) => "any".to_owned(),
    }
}

fn bounds(node: &Value) -> String {
    let mut bounds = Vec::new();
    if let Some(values) = node["enum"].as_array() {
        let words: Vec<_> = values.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
        bounds.push(words.join(", "));
    }
    bounds.extend(range(&node["minimum"], &node["maximum"], ""));
    bounds.extend(range(&node["minLength"], &node["maxLength"], " characters"));
    bounds.extend(range(&node["minItems"], &node["maxItems"], " items"));
    if let Some(pattern) = node["pattern"].as_str() {
        bounds.push(format!("`{pattern}`"));
    }
    if let Some(items) = node.get("items") {
        let each = self::bounds(items);
        bounds.extend((!each.is_empty()).then(|| format!("each {each}")));
    }
    bounds.join("; ")
}

fn range(least: &Value, most: &Value, unit: &str) -> Option<String> {
    let number = |value: &Value| value.as_f64().map(|number| number.to_string());
    match (number(least), number(most)) {
        (None, None) => None,
        (Some(least), Some(most)) if least == most => Some(format!("exactly {least}{unit}")),
        (Some(least), Some(most)) => Some(format!("{least} to {most}{unit}")),
        (Some(least), None) => Some(format!("at least {least}{unit}")),
        (None, Some(most)) => Some(format!("at most {most}{unit}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_field_is_found_with_type_default_and_bounds() {
        let node = json!({"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 40, "pattern": "^a", "description": "Who."},
            "apps": {"type": "array", "maxItems": 3, "items": {"type": "object", "properties": {
                "port": {"type": "integer", "minimum": 1.0, "default": 5000}}}},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "mode": {"type": "string", "enum": ["A", "B"]},
        }});
        let told: Vec<_> = fields(&node, "spec")
            .into_iter()
            .map(|field| format!("{} {} {} {}", field.path, field.kind, field.default, field.bounds))
            .collect();
        assert_eq!(
            told,
            [
                "spec.apps list of object  at most 3 items",
                "spec.apps[].port integer `5000` at least 1",
                "spec.labels map of string  ",
                "spec.mode string  `A`, `B`",
                "spec.name string required 1 to 40 characters; `^a`",
            ]
        );
    }
}
