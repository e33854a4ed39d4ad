//! The fields of a call's body, by name and type.
//!
//! Reading is as liberal as the vendor's: a number or a flag may come as a string, a whole number with a fraction of zeros, `null` and a
//! missing field are the same, and unknown fields are ignored. A fault names the field with its path and has the code of the service; [`Coded`](super::envelope::Coded) changes
//! that where a command has another.

use serde_json::{Map, Value};
use tim_proto::UserId;

use super::Service;
use super::envelope::RestError;

/// The fields of an object in the body of a call.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    /// The path of the object, with a dot behind it; empty for the body.
    path: String,
    service: Service,
}

impl<'a> Fields<'a> {
    pub(super) const fn new(object: &'a Map<String, Value>, service: Service) -> Self {
        Self {
            object,
            path: String::new(),
            service,
        }
    }

    /// A field as it is; `None` if it is missing or null.
    pub(super) fn value(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// The fault of a field.
    pub(super) fn fault(&self, name: &str, what: impl std::fmt::Display) -> RestError {
        RestError::new(self.service.parameter, format!("{}{name} {what}", self.path))
    }

    fn missing(&self, name: &str) -> RestError {
        self.fault(name, "is missing")
    }

    /// A string.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, RestError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.fault(name, "is not a string")),
        }
    }

    /// A string that is missing if it is empty.
    pub(super) fn non_empty_text(&self, name: &str) -> Result<Option<&'a str>, RestError> {
        Ok(self.text(name)?.filter(|text| !text.is_empty()))
    }

    /// A string of at most so many bytes.
    pub(super) fn text_within(&self, name: &str, max: usize) -> Result<Option<&'a str>, RestError> {
        let text = self.text(name)?;
        match text.filter(|text| text.len() > max) {
            Some(long) => Err(self.fault(name, format_args!("has {} bytes, at most {max} fit", long.len()))),
            None => Ok(text),
        }
    }

    /// A string that has to be there, and not empty.
    pub(super) fn need_text(&self, name: &str) -> Result<&'a str, RestError> {
        self.non_empty_text(name)?.ok_or_else(|| self.missing(name))
    }

    /// A whole number that is not negative, or a string of one.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, RestError> {
        let number = match self.value(name) {
            None => return Ok(None),
            Some(value @ Value::Number(_)) => tim_json::whole(value),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::String(text)) => digits(text),
            Some(_) => None,
        };
        let what = "is not a whole number, or out of range";
        number.map(Some).ok_or_else(|| self.fault(name, what))
    }

    /// A number of 32 bits.
    pub(super) fn number32(&self, name: &str) -> Result<Option<u32>, RestError> {
        let number = self.number(name)?.map(u32::try_from).transpose();
        number.map_err(|_| self.fault(name, "is larger than 4294967295"))
    }

    /// A number that has to be there.
    pub(super) fn need_number(&self, name: &str) -> Result<u64, RestError> {
        self.number(name)?.ok_or_else(|| self.missing(name))
    }

    /// A number of 32 bits that has to be there.
    pub(super) fn need_number32(&self, name: &str) -> Result<u32, RestError> {
        self.number32(name)?.ok_or_else(|| self.missing(name))
    }

    /// A flag: 0, 1, a boolean, or a string of one of these. Without it, it is not set.
    pub(super) fn flag(&self, name: &str) -> Result<bool, RestError> {
        match self.value(name) {
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if text == "true" || text == "false" => Ok(text == "true"),
            _ => match self.number(name)? {
                None | Some(0) => Ok(false),
                Some(1) => Ok(true),
                Some(_) => Err(self.fault(name, "is not 0 or 1")),
            },
        }
    }

    /// A user id; the system's is none.
    pub(super) fn user(&self, name: &str) -> Result<Option<UserId>, RestError> {
        let text = self.non_empty_text(name)?;
        text.map(|text| self.user_of(name, text)).transpose()
    }

    /// A user id that has to be there.
    pub(super) fn need_user(&self, name: &str) -> Result<UserId, RestError> {
        self.user_of(name, self.need_text(name)?)
    }

    fn user_of(&self, name: &str, text: &str) -> Result<UserId, RestError> {
        match UserId::new(text) {
            Ok(user) if user == UserId::SYSTEM => Err(self.fault(name, "is the system")),
            Ok(user) => Ok(user),
            Err(error) => Err(self.fault(name, format_args!("is not a user id: {error}"))),
        }
    }

    /// A list of at most so many items.
    pub(super) fn list(&self, name: &str, max: usize) -> Result<Option<&'a [Value]>, RestError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Array(items)) if items.len() <= max => Ok(Some(items)),
            Some(Value::Array(items)) => {
                let what = format_args!("has {} items, at most {max} fit", items.len());
                Err(self.fault(name, what))
            }
            Some(_) => Err(self.fault(name, "is not an array")),
        }
    }

    /// A list with at least one item, and at most so many.
    pub(super) fn need_list(&self, name: &str, max: usize) -> Result<&'a [Value], RestError> {
        match self.list(name, max)? {
            None => Err(self.missing(name)),
            Some([]) => Err(self.fault(name, "is empty")),
            Some(items) => Ok(items),
        }
    }

    /// A list of strings; empty if it is missing.
    pub(super) fn texts(&self, name: &str, max: usize) -> Result<Vec<&'a str>, RestError> {
        let items = self.list(name, max)?.unwrap_or_default();
        let texts = items.iter().enumerate().map(|(index, item)| {
            item.as_str()
                .ok_or_else(|| self.fault(&format!("{name}[{index}]"), "is not a string"))
        });
        texts.collect()
    }

    /// A list of strings with at least one.
    pub(super) fn need_texts(&self, name: &str, max: usize) -> Result<Vec<&'a str>, RestError> {
        self.need_list(name, max)?;
        self.texts(name, max)
    }

    /// A list of user ids; empty if it is missing.
    pub(super) fn users(&self, name: &str, max: usize) -> Result<Vec<UserId>, RestError> {
        let texts = self.texts(name, max)?.into_iter().enumerate();
        texts
            .map(|(index, text)| self.user_of(&format!("{name}[{index}]"), text))
            .collect()
    }

    /// A list of user ids with at least one.
    pub(super) fn need_users(&self, name: &str, max: usize) -> Result<Vec<UserId>, RestError> {
        self.need_list(name, max)?;
        self.users(name, max)
    }

    /// A list of objects; empty if it is missing.
    pub(super) fn objects(&self, name: &str, max: usize) -> Result<Vec<Self>, RestError> {
        let items = self.list(name, max)?.unwrap_or_default();
        let objects = items.iter().enumerate().map(|(index, item)| match item {
            Value::Object(object) => Ok(Self {
                object,
                path: format!("{}{name}[{index}].", self.path),
                service: self.service,
            }),
            _ => Err(self.fault(&format!("{name}[{index}]"), "is not an object")),
        });
        objects.collect()
    }

    /// A list of objects with at least one.
    pub(super) fn need_objects(&self, name: &str, max: usize) -> Result<Vec<Self>, RestError> {
        self.need_list(name, max)?;
        self.objects(name, max)
    }

    /// An object.
    pub(super) fn object(&self, name: &str) -> Result<Option<Self>, RestError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(Self {
                object,
                path: format!("{}{name}.", self.path),
                service: self.service,
            })),
            Some(_) => Err(self.fault(name, "is not an object")),
        }
    }
}

/// The number that is written so: with digits only.
pub(super) fn digits(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::rest::service;

    #[test]
    fn fields_are_read_liberally_and_faults_name_them() {
        let body = json!({
            "number": 7, "text number": "8", "whole": 9.0, "zero": -0.0, "padded": "007", "signed": "+7",
            "too much": 18_446_744_073_709_551_616.0, "negative": -1, "half": 0.5, "huge": 5_000_000_000_u64,
            "one": 1, "yes": true, "text flag": "0", "two": 2,
            "text": "a", "empty": "", "null": null, "long": "abcd",
            "user": "alice", "system": "@TIM#SYSTEM", "users": ["a", "b"], "mixed": ["a", 1],
            "objects": [{"user": ""}, {"user": 5}], "nothing": [],
        });
        let Value::Object(body) = body else { panic!() };
        let fields = Fields::new(&body, service::OPENIM);
        assert_eq!(fields.number("number"), Ok(Some(7)));
        assert_eq!(fields.number32("text number"), Ok(Some(8)));
        assert_eq!(
            (fields.number("whole"), fields.number("zero")),
            (Ok(Some(9)), Ok(Some(0)))
        );
        assert_eq!(fields.number("padded"), Ok(Some(7)));
        assert_eq!(fields.number("empty"), Ok(None));
        assert_eq!(fields.number("null"), Ok(None));
        assert_eq!((fields.flag("one"), fields.flag("yes")), (Ok(true), Ok(true)));
        assert_eq!(
            (fields.flag("text flag"), fields.flag("absent")),
            (Ok(false), Ok(false))
        );
        assert_eq!(fields.non_empty_text("empty"), Ok(None));
        assert_eq!(fields.need_user("user").unwrap().as_str(), "alice");
        assert_eq!(fields.users("users", 2).unwrap().len(), 2);
        assert_eq!(fields.users("absent", 2), Ok(Vec::new()));
        let objects = fields.need_objects("objects", 2).unwrap();
        assert_eq!(objects[0].user("user"), Ok(None));
        for (fault, text) in [
            (
                fields.number("negative").unwrap_err(),
                "negative is not a whole number",
            ),
            (
                fields.number("signed").unwrap_err(),
                "signed is not a whole number",
            ),
            (
                fields.number("too much").unwrap_err(),
                "too much is not a whole number",
            ),
            (fields.number("half").unwrap_err(), "half is not a whole number"),
            (fields.number("text").unwrap_err(), "text is not a whole number"),
            (fields.number32("huge").unwrap_err(), "huge is larger than"),
            (fields.flag("two").unwrap_err(), "two is not 0 or 1"),
            (fields.text("number").unwrap_err(), "number is not a string"),
            (fields.need_text("null").unwrap_err(), "null is missing"),
            (fields.text_within("long", 3).unwrap_err(), "long has 4 bytes"),
            (fields.user("system").unwrap_err(), "system is the system"),
            (fields.users("mixed", 2).unwrap_err(), "mixed[1] is not a string"),
            (fields.users("users", 1).unwrap_err(), "users has 2 items"),
            (fields.need_list("nothing", 1).unwrap_err(), "nothing is empty"),
            (
                objects[1].need_user("user").unwrap_err(),
                "objects[1].user is not a string",
            ),
        ] {
            assert!(fault.info.starts_with(text), "{fault:?}");
            assert_eq!(fault.code, service::OPENIM.parameter);
        }
    }
}
