//! `assets/api/v1/openapi.json`, held to the code: what it says of routes, answers and
//! what is taken is true, no more and no less. Tests alone; the document itself is
//! served as it stands.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    reason = "a test may fail, and says so by panicking"
)]

mod answers;
mod probes;
mod queries;
mod routes;
mod taken;

pub(crate) use answers::check;

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::LazyLock};

/// The document.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../assets/api/v1/openapi.json")).unwrap()
});

/// A schema that may point into the document, ready to judge.
fn compiled(schema: &Value) -> Validator {
    let whole = json!({"allOf": [schema], "components": DOCUMENT["components"]});
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .build(&whole)
        .unwrap()
}

/// A schema of the document, by its name.
fn named(name: &str) -> &'static Value {
    let found = &DOCUMENT["components"]["schemas"][name];
    assert!(found.is_object(), "no schema {name}");
    found
}

/// What stands behind `$ref`, if that is all it is.
fn resolved(schema: &Value) -> &Value {
    match schema["$ref"].as_str() {
        Some(place) => {
            let pointer = place.strip_prefix('#').unwrap();
            resolved(DOCUMENT.pointer(pointer).unwrap())
        }
        None => schema,
    }
}

/// The names of an object's members.
fn keys(object: &Value) -> BTreeSet<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

/// A list of texts.
fn texts(list: &Value) -> BTreeSet<String> {
    let texts = list.as_array().unwrap().iter();
    texts.map(|text| text.as_str().unwrap().into()).collect()
}
