//! The station's own description of itself, and every answer of the management API that
//! any test sees, held against it.

use crate::client::Answer;
use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

/// The description as it is in the project.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../../assets/api/v1/openapi.json");
    serde_json::from_str(text).expect("the description is JSON")
});

/// Schemas that were needed so far, compiled: that takes longer than using them.
static COMPILED: Mutex<BTreeMap<String, Arc<Validator>>> = Mutex::new(BTreeMap::new());

/// The description of the API, `assets/api/v1/openapi.json`.
#[must_use]
pub fn description() -> &'static Value {
    &DOCUMENT
}

/// Asserts that this is an answer that the description allows to such a request; of
/// requests that do not go to the API nothing is said.
///
/// # Panics
/// When it is not.
#[track_caller]
pub(crate) fn check(method: &str, target: &str, answer: &Answer) {
    let path = target.split('?').next().unwrap_or_default();
    let is_api = path.starts_with("/api/v1") || ["/healthz", "/metrics"].contains(&path);
    // What a browser asks first is of CORS, not of the API.
    if !is_api || (method == "OPTIONS" && answer.status == 204) {
        return;
    }
    let context = format!(
        "{method} {target}: {} {:.2000}",
        answer.status,
        answer.text()
    );
    let item = item_of(path);
    let operation = item.and_then(|item| item.get(method.to_ascii_lowercase()));
    match (item, operation) {
        (_, Some(operation)) => described(&operation["responses"], answer, method, &context),
        (Some(item), None) if answer.status == 405 => {
            let allow = answer.header("allow").unwrap_or_default();
            let allow: BTreeSet<_> = allow.split(", ").map(str::to_lowercase).collect();
            assert_eq!(allow, methods(item), "{context}");
            let only = json!({"405": {"$ref": "#/components/responses/MethodNotAllowed"}});
            described(&only, answer, method, &context);
        }
        _ => {
            assert!([401, 404, 503].contains(&answer.status), "{context}");
            let any = json!({
                "401": {"$ref": "#/components/responses/Unauthorized"},
                "404": {"$ref": "#/components/responses/NoRoute"},
                "503": {"$ref": "#/components/responses/Unavailable"},
            });
            described(&any, answer, method, &context);
        }
    }
}

/// The methods of a path, in lower case.
#[must_use]
pub fn methods(item: &Value) -> BTreeSet<String> {
    let keys = item.as_object().into_iter().flat_map(Map::keys);
    keys.filter(|key| *key != "parameters").cloned().collect()
}

/// What is said of the path that this one is; the one with the fewest `{…}`.
fn item_of(path: &str) -> Option<&'static Value> {
    let paths = DOCUMENT["paths"].as_object()?;
    let segments: Vec<&str> = path.split('/').collect();
    let fits = |template: &str| {
        let parts: Vec<&str> = template.split('/').collect();
        let mut pairs = parts.iter().zip(&segments);
        parts.len() == segments.len()
            && pairs.all(|(part, segment)| part == segment || part.starts_with('{'))
    };
    let fitting = paths.iter().filter(|(template, _)| fits(template));
    fitting
        .min_by_key(|(template, _)| template.matches('{').count())
        .map(|(_, item)| item)
}

#[track_caller]
fn described(responses: &Value, answer: &Answer, method: &str, context: &str) {
    let response = responses.get(answer.status.to_string());
    let response = resolved(response.unwrap_or_else(|| panic!("not described: {context}")));
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        match answer.header(name) {
            Some(value) => fits(&header["schema"], &json!(value), context),
            None => assert!(header["required"] != true, "no {name}: {context}"),
        }
    }
    if method == "HEAD" {
        return;
    }
    let kind = answer.header("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    let content = &response["content"][kind];
    assert!(content.is_object(), "content-type {kind:?}: {context}");
    if kind.ends_with("json") {
        fits(&content["schema"], &answer.json(), context);
    }
}

#[track_caller]
fn fits(schema: &Value, value: &Value, context: &str) {
    let key = schema.to_string();
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let validator = compiled
        .entry(key)
        .or_insert_with(|| Arc::new(compile(schema)));
    let validator = Arc::clone(validator);
    drop(compiled);
    let wrong: Vec<_> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error:.300}", error.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "not as described: {wrong:#?}: {context}");
}

fn compile(schema: &Value) -> Validator {
    let whole = json!({"allOf": [schema], "components": DOCUMENT["components"]});
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .build(&whole)
        .expect("the description holds schemas")
}

fn resolved(value: &Value) -> Value {
    match value["$ref"]
        .as_str()
        .and_then(|place| place.strip_prefix('#'))
    {
        Some(pointer) => DOCUMENT
            .pointer(pointer)
            .expect("what is pointed to")
            .clone(),
        None => value.clone(),
    }
}
