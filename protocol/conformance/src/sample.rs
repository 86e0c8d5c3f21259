//! Makes a configuration that fits a schema, and one that does not. Knows the keywords that providers use; gives up on others.

use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// The compiled form of a schema, when it is one.
pub fn compiled(schema: &Value) -> Option<Validator> {
    jsonschema::options().offline().build(schema).ok()
}

/// A configuration with the required members only.
pub fn fitting(schema: Option<&Value>) -> Option<Map<String, Value>> {
    let Some(schema) = schema.filter(|s| !s.is_null()) else { return Some(Map::new()) };
    let mut configuration = Map::new();
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        configuration.insert(name.to_owned(), value_for(&schema["properties"][name])?);
    }
    compiled(schema)?.is_valid(&Value::Object(configuration.clone())).then_some(configuration)
}

/// A configuration in which one member is of another type than the schema says.
pub fn violating(schema: &Value, fitting: &Map<String, Value>) -> Option<Map<String, Value>> {
    let validator = compiled(schema)?;
    schema["properties"].as_object()?.keys().find_map(|name| {
        [json!({"not": ["what", "was", "asked"]}), json!(-1), json!("\u{1}")].into_iter().find_map(|wrong| {
            let mut configuration = fitting.clone();
            configuration.insert(name.clone(), wrong);
            (!validator.is_valid(&Value::Object(configuration.clone()))).then_some(configuration)
        })
    })
}

fn value_for(schema: &Value) -> Option<Value> {
    if let Some(value) = schema.get("default").or_else(|| schema.get("const")).or_else(|| schema["enum"].get(0)) {
        return Some(value.clone());
    }
    match schema["type"].as_str()? {
        "string" => Some(json!("conformance")),
        "integer" | "number" => Some(schema.get("minimum").cloned().unwrap_or(json!(1))),
        "boolean" => Some(json!(false)),
        "array" => Some(json!([])),
        "object" => fitting(Some(schema)).map(Value::Object),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fitting_and_a_violating_configuration_are_made() {
        let schema = json!({"type": "object", "required": ["region"], "properties":
            {"region": {"type": "string", "enum": ["eu", "us"]}, "size": {"type": "integer", "minimum": 1}}});
        let good = fitting(Some(&schema)).unwrap();
        assert_eq!(good["region"], "eu");
        assert!(!compiled(&schema).unwrap().is_valid(&Value::Object(violating(&schema, &good).unwrap())));
        assert_eq!(
            fitting(Some(&json!({"type": "object", "required": ["d"], "properties": {"d": {"type": "string", "pattern": "^x$"}}}))),
            None
        );
        assert_eq!(fitting(None), Some(Map::new()));
    }
}
