//! Values that lie at and beyond every bound that a schema states.

use super::{compiled, resolved};
use serde_json::{Map, Number, Value, json};

/// Texts that are met in requests, and such as should not be.
const TEXTS: [&str; 27] = [
    "shop",
    "x-token",
    "https://shop.example/hook",
    "/data/id",
    "2026-11-20T07:00:00Z",
    "wh_00000000000000000000000000",
    "dst_0000000000000",
    "evt_000000000000000000000000000000000000000",
    "job_00000000000000000000000000",
    "1795158000000",
    "",
    " ",
    " a",
    "a\n",
    "a\u{0}b",
    "\u{85}",
    "Đơn hàng",
    "***5678",
    "*",
    "host:",
    "x y",
    "Webhook-Id",
    "X-Tram-Hops",
    "casso",
    "0",
    "wh_0000000000000000000000000v",
    "2026-11-20",
];

/// What a schema takes, and what stands at its bounds.
pub(super) struct Probes {
    /// The least that is taken.
    pub(super) valid: Value,
    /// Both sides of every bound, and values of every other kind.
    pub(super) all: Vec<Value>,
}

/// Probes of a schema of the document.
pub(super) fn probes(schema: &Value) -> Probes {
    let schema = resolved(schema);
    let mut all = vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!("x"),
        json!([]),
        json!({}),
        json!([null]),
        json!({"x": "y"}),
    ];
    for branch in ["oneOf", "anyOf"]
        .iter()
        .filter_map(|key| schema[key].as_array())
        .flatten()
    {
        if branch.get("type").is_some() || branch.get("$ref").is_some() {
            all.extend(probes(branch).all);
        }
    }
    all.extend(schema.get("const").cloned());
    all.extend(schema["enum"].as_array().cloned().unwrap_or_default());
    let kind = |name: &str| {
        let kind = &schema["type"];
        kind == name
            || kind
                .as_array()
                .is_some_and(|any| any.contains(&json!(name)))
    };
    if kind("boolean") {
        all.extend([json!(false), json!("true")]);
    }
    if kind("integer") || kind("number") {
        all.extend(numbers(schema));
    }
    if kind("string") {
        all.extend(strings(schema));
    }
    if kind("array") {
        all.extend(arrays(schema));
    }
    if kind("object") {
        all.extend(objects(schema));
    }
    let judge = compiled(schema);
    // A null is taken in many places, and says little.
    let mut valid = all.iter().filter(|probe| judge.is_valid(probe));
    let valid = valid.clone().find(|one| !one.is_null()).or(valid.next());
    let valid = valid
        .unwrap_or_else(|| panic!("nothing fits {schema}"))
        .clone();
    Probes { valid, all }
}

fn numbers(schema: &Value) -> Vec<Value> {
    let bounds = ["minimum", "maximum"]
        .iter()
        .filter_map(|key| schema[key].as_f64());
    let around = bounds.flat_map(|bound| [bound - 1.0, bound, bound + 1.0, bound + 0.5]);
    around
        .flat_map(|number| {
            // Whole numbers are sent as such, and may be sent as others are.
            let whole = format!("{number}").parse::<i64>();
            let whole = whole.map(|whole| Value::Number(Number::from(whole)));
            whole.into_iter().chain([json!(number)])
        })
        .collect()
}

fn strings(schema: &Value) -> Vec<Value> {
    let mut texts: Vec<String> = TEXTS.iter().map(|&text| text.to_owned()).collect();
    let lengths = ["minLength", "maxLength"]
        .iter()
        .filter_map(|key| schema[key].as_u64());
    for length in lengths.flat_map(|length| [length, length + 1]) {
        let length = usize::try_from(length).unwrap();
        texts.push("a".repeat(length));
        // Where it has to be a URL.
        let url = "https://shop.example/";
        texts.push(format!(
            "{url}{}",
            "a".repeat(length.saturating_sub(url.len()))
        ));
    }
    texts.into_iter().map(Value::String).collect()
}

fn arrays(schema: &Value) -> Vec<Value> {
    let Probes { valid, all } = probes(&schema["items"]);
    let mut arrays: Vec<Value> = all.into_iter().map(|item| json!([item])).collect();
    arrays.push(json!([valid, valid]));
    let bounds = ["minItems", "maxItems"]
        .iter()
        .filter_map(|key| schema[key].as_u64());
    for size in bounds.flat_map(|bound| [bound, bound + 1]) {
        arrays.push((0..size).map(|n| another(&valid, n)).collect());
    }
    arrays
}

/// As valid as the first, and unlike the others.
fn another(valid: &Value, n: u64) -> Value {
    match valid {
        Value::String(text) => json!(format!("{text}{n}")),
        Value::Object(fields) => {
            let mut fields = fields.clone();
            if let Some(url) = fields.get_mut("url") {
                *url = another(url, n);
            }
            Value::Object(fields)
        }
        other => other.clone(),
    }
}

fn objects(schema: &Value) -> Vec<Value> {
    let none = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&none);
    let parts: Vec<_> = properties
        .iter()
        .map(|(name, part)| (name, probes(part)))
        .collect();
    // Where there is a choice of what has to be there, the first.
    let choice = ["oneOf", "anyOf"]
        .iter()
        .find_map(|key| schema[key][0]["required"].as_array());
    let required = [schema["required"].as_array(), choice]
        .into_iter()
        .flatten();
    let required: Vec<Value> = required.flatten().cloned().collect();
    let least: Map<_, _> = parts
        .iter()
        .filter(|(name, _)| required.contains(&json!(name)))
        .map(|(name, part)| ((*name).clone(), part.valid.clone()))
        .collect();
    let mut objects = vec![Value::Object(least.clone())];
    for name in least.keys() {
        let mut without = least.clone();
        without.remove(name);
        objects.push(Value::Object(without));
    }
    let mut with = |name: &str, value: &Value| {
        let mut object = least.clone();
        object.insert(name.to_owned(), value.clone());
        objects.push(Value::Object(object));
    };
    for (name, part) in &parts {
        part.all.iter().for_each(|value| with(name, value));
    }
    with("no_such_field", &json!(1));
    if schema["additionalProperties"].is_object() {
        let values = probes(&schema["additionalProperties"]);
        values.all.iter().for_each(|value| with("x-from", value));
        for name in strings(resolved(&schema["propertyNames"])) {
            with(name.as_str().unwrap(), &values.valid);
        }
        if let Some(most) = schema["maxProperties"].as_u64() {
            for size in [most, most + 1] {
                let names = (0..size).map(|n| (format!("x-{n}"), values.valid.clone()));
                objects.push(Value::Object(names.collect()));
            }
        }
    }
    objects
}
