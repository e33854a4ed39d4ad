//! Fields that the application gives groups and their members, and attributes of groups: names with values.

use std::collections::BTreeMap;

use tim_proto::UserId;

use crate::Refused;

/// The most fields of a group.
pub const MAX_GROUP_FIELDS: usize = 10;
/// The longest value of a field of a group, in bytes.
pub const MAX_GROUP_VALUE: usize = 512;
/// The most fields of a member.
pub const MAX_MEMBER_FIELDS: usize = 5;
/// The longest value of a field of a member, in bytes.
pub const MAX_MEMBER_VALUE: usize = 64;
/// The longest name of a field, in bytes. It has letters, digits and underscores.
pub const MAX_FIELD_NAME: usize = 16;
/// The most attributes of a group.
pub const MAX_ATTRIBUTES: usize = 16;
/// The longest name of an attribute, in bytes.
pub const MAX_ATTRIBUTE_NAME: usize = 32;
/// The longest value of an attribute, in bytes.
pub const MAX_ATTRIBUTE_VALUE: usize = 4_000;
/// The most bytes of all attributes of a group, names and values.
pub const MAX_ATTRIBUTE_BYTES: usize = 16_000;

/// A name with a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Field {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

/// A change of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// The name.
    pub name: String,
    /// The new value; `None` removes the field.
    pub value: Option<String>,
}

/// What fields are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldScope {
    /// The group.
    Group,
    /// A member of the group. They end with the membership.
    Member(UserId),
    /// The attributes of the group, which have limits of their own.
    Attributes,
}

/// The limits of a scope.
struct Limits {
    count: usize,
    name: usize,
    value: usize,
    bytes: usize,
}

impl FieldScope {
    const fn limits(self) -> Limits {
        let (count, value) = match self {
            Self::Group => (MAX_GROUP_FIELDS, MAX_GROUP_VALUE),
            Self::Member(_) => (MAX_MEMBER_FIELDS, MAX_MEMBER_VALUE),
            Self::Attributes => {
                return Limits {
                    count: MAX_ATTRIBUTES,
                    name: MAX_ATTRIBUTE_NAME,
                    value: MAX_ATTRIBUTE_VALUE,
                    bytes: MAX_ATTRIBUTE_BYTES,
                };
            }
        };
        Limits {
            count,
            name: MAX_FIELD_NAME,
            value,
            bytes: usize::MAX,
        }
    }

    /// The fields after these changes, in the order of their names.
    ///
    /// # Errors
    /// [`Refused::TextTooLong`], [`Refused::BadValue`] for a name that a field cannot have, and the refusals for too many
    /// or too large attributes.
    pub fn changed(self, before: Vec<Field>, changes: &[FieldChange]) -> Result<Vec<Field>, Refused> {
        let limits = self.limits();
        let mut fields: BTreeMap<String, String> = before
            .into_iter()
            .map(|Field { name, value }| (name, value))
            .collect();
        for FieldChange { name, value } in changes {
            self.check_name(name, limits.name)?;
            match value {
                None => drop(fields.remove(name)),
                Some(value) => {
                    self.check_value(value, limits.value)?;
                    fields.insert(name.clone(), value.clone());
                }
            }
        }
        if fields.len() > limits.count {
            return Err(match self {
                Self::Attributes => Refused::TooManyAttributes { max: limits.count },
                _ => Refused::BadValue("more fields are given than there may be"),
            });
        }
        let bytes: usize = fields
            .iter()
            .map(|(name, value)| name.len().saturating_add(value.len()))
            .fold(0, usize::saturating_add);
        if bytes > limits.bytes {
            return Err(Refused::AttributesTooLarge { max: limits.bytes });
        }
        Ok(fields
            .into_iter()
            .map(|(name, value)| Field { name, value })
            .collect())
    }

    fn check_name(self, name: &str, max: usize) -> Result<(), Refused> {
        if self == Self::Attributes {
            return match name.len() {
                0 => Err(Refused::BadValue("an attribute has a name")),
                len if len > max => Err(Refused::AttributeNameTooLong { len, max }),
                _ => Ok(()),
            };
        }
        crate::rules::check_text("name of the field", name, max)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        match !name.is_empty() && name.bytes().all(is_plain) {
            true => Ok(()),
            false => Err(Refused::BadValue(
                "the name of a field has letters, digits and underscores",
            )),
        }
    }

    fn check_value(self, value: &str, max: usize) -> Result<(), Refused> {
        match self {
            Self::Attributes if value.len() > max => Err(Refused::AttributeTooLong {
                len: value.len(),
                max,
            }),
            Self::Attributes => Ok(()),
            _ => crate::rules::check_text("value of the field", value, max),
        }
    }
}
