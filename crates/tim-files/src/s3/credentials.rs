//! What requests to S3 are signed with.

use std::fmt;
use std::path::{Path, PathBuf};

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

/// The longest file of credentials.
const MAX_FILE: u64 = 64 << 10;

/// What requests are signed with. It is not shown.
#[derive(Clone)]
#[non_exhaustive]
pub enum S3Credentials {
    /// What the variables `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` say; without them, the role that the
    /// other `AWS_` variables or the machine have.
    Environment,
    /// A file as `~/.aws/credentials`, of which the profile `default` is used, or the one of `AWS_PROFILE`.
    File(PathBuf),
    /// These keys.
    Keys(S3Keys),
}

/// Keys that are not shown.
#[derive(Clone)]
pub struct S3Keys {
    id: String,
    secret: String,
    token: Option<String>,
}

impl S3Credentials {
    /// An access key, its secret, and the token of a session.
    pub fn keys(id: impl Into<String>, secret: impl Into<String>, token: Option<String>) -> Self {
        Self::Keys(S3Keys {
            id: id.into(),
            secret: secret.into(),
            token,
        })
    }

    pub(super) fn builder(&self) -> Result<AmazonS3Builder, String> {
        let builder = AmazonS3Builder::from_env();
        let keys = match self {
            Self::Environment => return Ok(builder),
            Self::Keys(keys) => keys.clone(),
            Self::File(path) => {
                let profile = std::env::var("AWS_PROFILE").unwrap_or_else(|_| "default".to_owned());
                let text =
                    read(path).map_err(|reason| format!("{} cannot be read: {reason}", path.display()))?;
                parse(&text, &profile).map_err(|reason| format!("{}: {reason}", path.display()))?
            }
        };
        // What the environment says of other keys does not belong to these.
        let mut of_keys = AmazonS3Builder::new()
            .with_access_key_id(keys.id)
            .with_secret_access_key(keys.secret);
        if let Some(token) = keys.token {
            of_keys = of_keys.with_token(token);
        }
        let elsewhere = [
            AmazonS3ConfigKey::Region,
            AmazonS3ConfigKey::DefaultRegion,
            AmazonS3ConfigKey::Endpoint,
        ];
        for key in elsewhere {
            if let Some(value) = builder.get_config_value(&key) {
                of_keys = of_keys.with_config(key, value);
            }
        }
        Ok(of_keys)
    }
}

fn read(path: &Path) -> Result<String, String> {
    let found = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if found.len() > MAX_FILE {
        return Err(format!("it has more than {MAX_FILE} bytes"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

/// The keys of a profile. No text of the file is in an error: it may be a secret.
fn parse(text: &str, profile: &str) -> Result<S3Keys, String> {
    let (mut id, mut secret, mut token) = (None, None, None);
    let (mut is_profile, mut is_found) = (false, false);
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            is_profile = name.trim() == profile;
            is_found |= is_profile;
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(format!("line {} is not KEY = VALUE", number + 1));
        };
        if is_profile {
            let value = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
            match key.trim().to_ascii_lowercase().as_str() {
                "aws_access_key_id" => id = value,
                "aws_secret_access_key" => secret = value,
                "aws_session_token" => token = value,
                _ => {}
            }
        }
    }
    if !is_found {
        return Err(format!("there is no profile [{profile}]"));
    }
    match (id, secret) {
        (Some(id), Some(secret)) => Ok(S3Keys { id, secret, token }),
        _ => Err(format!(
            "the profile [{profile}] needs aws_access_key_id and aws_secret_access_key"
        )),
    }
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("Environment"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Keys(_) => f.write_str("Keys(..)"),
        }
    }
}

impl fmt::Debug for S3Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_from_the_profile_and_are_not_shown() {
        let text = "# mine\n[other]\naws_access_key_id = X\n\n[default]\naws_access_key_id=AKID\n\
                    aws_secret_access_key = a/b+c==\nregion = eu-west-1\n[third]\naws_session_token = t\n";
        let keys = parse(text, "default").unwrap();
        assert_eq!((keys.id.as_str(), keys.secret.as_str()), ("AKID", "a/b+c=="));
        assert!(keys.token.is_none());
        let shown = format!("{:?} {:?}", keys, S3Credentials::Keys(keys.clone()));
        assert!(!shown.contains("AKID") && !shown.contains("a/b"), "{shown}");
        for (text, profile) in [
            (text, "nobody"),
            (text, "other"),
            ("[default]\nsecret", "default"),
            ("", "default"),
            ("aws_access_key_id = X\naws_secret_access_key = Y", "default"),
        ] {
            let error = parse(text, profile).unwrap_err();
            assert!(!error.contains("secret ") && !error.contains('X'), "{error}");
        }
    }
}
