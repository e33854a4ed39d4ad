//! tim's values in the vendor's JSON, and back.

mod faults;
mod golden;
mod shapes;

use serde_json::Value;

/// What the vendor recorded; `__undefined__` is JavaScript's, so a field that has it is not there.
fn golden(file: &str) -> Value {
    let path = format!("{}/tests/golden/{file}", env!("CARGO_MANIFEST_DIR"));
    let mut value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    without_undefined(&mut value);
    value
}

fn without_undefined(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| field != "__undefined__");
            fields.values_mut().for_each(without_undefined);
        }
        Value::Array(items) => items.iter_mut().for_each(without_undefined),
        _ => {}
    }
}
