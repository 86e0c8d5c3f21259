//! Checks a `configuration` against the schema that the catalogue promises.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::{PatternOptions, Validator};
use purser_values::Sha256Digest;
use purser_wire::catalog::Service;
use purser_wire::text::excerpt;
use serde_json::{Map, Value};

use crate::error::ProviderError;

/// Compiled schemas, by the digest of their text.
#[derive(Debug, Default)]
pub struct Schemas(Mutex<HashMap<Sha256Digest, Arc<Validator>>>);

/// More than this many schemas are a catalogue that changes all the time; it is then compiled anew.
const CACHED: usize = 1_000;
/// Faults that are told at once.
const FAULTS: usize = 5;

impl Schemas {
    /// # Errors
    /// When the configuration does not fit, with every fault by its place and without the values; or when the schema is broken.
    pub fn check(&self, service: &Service, configuration: &Map<String, Value>) -> Result<(), ProviderError> {
        let Some(schema) = &service.configuration_schema else { return Ok(()) };
        let validator = self.compiled(schema)?;
        let configuration = Value::Object(configuration.clone());
        let faults: Vec<String> = validator
            .iter_errors(&configuration)
            .take(FAULTS)
            .map(|fault| format!("`configuration{}`: {}", fault.instance_path(), excerpt(&fault.masked().to_string(), 160)))
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(ProviderError::invalid_configuration(faults.join("; "))) }
    }

    fn compiled(&self, schema: &Value) -> Result<Arc<Validator>, ProviderError> {
        let digest = purser_wire::canonical::digest(schema);
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(validator) = cache.get(&digest) {
            return Ok(validator.clone());
        }
        // no reference is fetched, and no pattern can take more than linear time
        let built = jsonschema::options().offline().with_pattern_options(PatternOptions::regex()).build(schema);
        let validator = Arc::new(built.map_err(|cause| ProviderError::internal(&cause))?);
        if cache.len() >= CACHED {
            cache.clear();
        }
        cache.insert(digest, validator.clone());
        Ok(validator)
    }
}
