//! Where the hub keeps the content of files.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tim_hub::FileOptions;

use crate::config::{Settings, text_in_files};
use crate::error::Failure;

/// The name of the default.
const DIRECTORY: &str = "directory";

/// A place for the content of files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum FilePlace {
    /// In the data directory.
    #[default]
    Directory,
    /// In a bucket: `s3://BUCKET/PREFIX`.
    S3(String),
}

impl FromStr for FilePlace {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            DIRECTORY => Ok(Self::Directory),
            url if url.starts_with("s3://") => {
                #[cfg(feature = "s3")]
                tim_hub::S3Options::from_url(url)?;
                Ok(Self::S3(url.to_owned()))
            }
            _ => Err(format!(
                "{text:?} is neither {DIRECTORY:?} nor s3://BUCKET or s3://BUCKET/PREFIX"
            )),
        }
    }
}

impl fmt::Display for FilePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory => f.write_str(DIRECTORY),
            Self::S3(url) => f.write_str(url),
        }
    }
}

text_in_files!(FilePlace);

/// What the hub is told about its files.
pub(crate) fn file_options(settings: &Settings, data: &Path) -> Result<FileOptions, Failure> {
    let options = FileOptions::new(data.join("files")).map_err(Failure::failed)?;
    match &settings.files {
        FilePlace::Directory => Ok(options),
        FilePlace::S3(url) => in_bucket(options, settings, url),
    }
}

#[cfg(feature = "s3")]
fn in_bucket(mut options: FileOptions, settings: &Settings, url: &str) -> Result<FileOptions, Failure> {
    use tim_hub::{Remote, S3Credentials, S3Options};

    let mut bucket =
        S3Options::from_url(url).map_err(|error| Failure::usage(format_args!("--files: {error}")))?;
    let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    bucket.endpoint = given(&settings.files_endpoint);
    bucket.region = given(&settings.files_region);
    bucket.is_virtual_hosted = settings.files_bucket_in_host;
    bucket.allow_http = settings.files_allow_http;
    if !settings.files_credentials.as_os_str().is_empty() {
        bucket.credentials = S3Credentials::File(settings.files_credentials.clone());
    }
    let remote = Remote::s3(&bucket).map_err(|error| {
        Failure::usage(error)
            .hint("look at --files-endpoint, --files-allow-http, --files-credentials and the AWS_ variables")
    })?;
    tracing::info!(store = %bucket, "files are in a bucket, which is tried out now");
    options.store.content = Some(remote);
    Ok(options)
}

#[cfg(not(feature = "s3"))]
fn in_bucket(_: FileOptions, _: &Settings, url: &str) -> Result<FileOptions, Failure> {
    Err(
        Failure::usage(format_args!("--files {url}: this program was built without S3"))
            .hint("build it with the feature `s3`, which it has by default"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_directory_or_a_bucket() {
        for text in ["directory", "s3://files", "s3://files/tim/1"] {
            assert_eq!(text.parse::<FilePlace>().unwrap().to_string(), text);
        }
        for text in ["", "/var/lib/files", "http://files", "S3://files"] {
            assert!(text.parse::<FilePlace>().is_err(), "{text}");
        }
    }
}
