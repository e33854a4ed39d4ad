//! Content in an S3-compatible store.

mod apart;
mod credentials;
mod http;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3ConfigKey;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};

pub(crate) use apart::Apart;
pub use credentials::{S3Credentials, S3Keys};

use crate::error::FileError;
use crate::remote::{Driver, Remote};

/// The longest part of a URL that names a bucket or a prefix.
const MAX_NAME: usize = 512;
/// How often a request is repeated that the store did not answer well.
const RETRIES: usize = 2;

/// Which bucket has the content of files, and how it is reached.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct S3Options {
    /// The bucket, which must exist.
    pub bucket: String,
    /// What the names of all objects begin with; may be empty.
    pub prefix: String,
    /// The region of the bucket. Default: what `AWS_REGION` or `AWS_DEFAULT_REGION` says, else `us-east-1`.
    pub region: Option<String>,
    /// The URL of the store. Default: what `AWS_ENDPOINT_URL` says, else Amazon's for the region.
    pub endpoint: Option<String>,
    /// Whether the bucket is in the host name of the URLs, not in their path. Default: no.
    pub is_virtual_hosted: bool,
    /// Whether the endpoint may be reached without TLS. Default: no.
    pub allow_http: bool,
    /// What requests are signed with.
    pub credentials: S3Credentials,
    /// How long a request may take, with those that repeat it. A part of a large file is a request. Default: 30 s.
    pub time_limit: Duration,
}

impl S3Options {
    /// The defaults, for the bucket and the prefix of a URL such as `s3://bucket/prefix`.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub fn from_url(url: &str) -> Result<Self, String> {
        let wrong = |what: &str| {
            Err(format!(
                "{url:?} is not s3://BUCKET or s3://BUCKET/PREFIX: {what}"
            ))
        };
        let Some(rest) = url.strip_prefix("s3://") else {
            return wrong("it does not begin with s3://");
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_end_matches('/');
        let is_of_bucket = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if bucket.is_empty() || bucket.len() > MAX_NAME || !bucket.bytes().all(is_of_bucket) {
            return wrong("the name of a bucket has letters, digits, '-', '.' and '_'");
        }
        let is_of_prefix = |byte: u8| is_of_bucket(byte) || byte == b'/';
        let is_part = |part: &str| !matches!(part, "" | "." | "..");
        let is_prefix = prefix.len() <= MAX_NAME && prefix.bytes().all(is_of_prefix);
        if !(prefix.is_empty() || is_prefix && prefix.split('/').all(is_part)) {
            return wrong("a prefix has letters, digits, '-', '.', '_' and single '/'");
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            region: None,
            endpoint: None,
            is_virtual_hosted: false,
            allow_http: false,
            credentials: S3Credentials::Environment,
            time_limit: Duration::from_secs(30),
        })
    }
}

impl fmt::Display for S3Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix.as_str() {
            "" => write!(f, "s3://{}", self.bucket),
            prefix => write!(f, "s3://{}/{prefix}", self.bucket),
        }
    }
}

impl Remote {
    /// A bucket of an S3-compatible store. Nothing is asked of it before a file store is opened on it.
    ///
    /// # Errors
    /// [`FileError::Store`] if the options cannot work; [`FileError::Failed`] if a thread cannot be started.
    pub fn s3(options: &S3Options) -> Result<Self, FileError> {
        let name = options.to_string();
        let unusable = |reason: String| FileError::Store {
            store: name.clone(),
            reason,
        };
        let mut builder = options.credentials.builder().map_err(unusable)?;
        if let Some(region) = &options.region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = &options.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint);
        check_endpoint(endpoint.as_deref(), options.allow_http).map_err(unusable)?;
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(2),
                base: 2.0,
            },
            max_retries: RETRIES,
            retry_timeout: options.time_limit,
        };
        let store = builder
            .with_bucket_name(&options.bucket)
            .with_allow_http(options.allow_http)
            .with_virtual_hosted_style_request(options.is_virtual_hosted)
            .with_retry(retry)
            .with_http_connector(http::Connector)
            .build()
            .map_err(|error| unusable(crate::error::text_of(&error)))?;
        let store: Arc<dyn ObjectStore> = match options.prefix.as_str() {
            "" => Arc::new(store),
            prefix => Arc::new(PrefixStore::new(store, Path::from(prefix))),
        };
        Ok(Self {
            store,
            driver: Driver::Apart(Arc::new(Apart::new(options.time_limit)?)),
            name,
        })
    }
}

fn check_endpoint(endpoint: Option<&str>, allow_http: bool) -> Result<(), String> {
    match endpoint {
        Some(url) if url.starts_with("http://") && !allow_http => Err(format!(
            "{url} is not encrypted: everybody on the way can read files; use https://, or allow http"
        )),
        Some(url) if !url.starts_with("http://") && !url.starts_with("https://") => Err(format!(
            "the endpoint {url:?} is not a URL such as https://s3.example.org"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_bucket_and_a_prefix() {
        for (url, bucket, prefix, shown) in [
            ("s3://files", "files", "", "s3://files"),
            ("s3://files/", "files", "", "s3://files"),
            ("s3://a.b-c/tim/1", "a.b-c", "tim/1", "s3://a.b-c/tim/1"),
            ("s3://files/tim/", "files", "tim", "s3://files/tim"),
        ] {
            let options = S3Options::from_url(url).unwrap();
            assert_eq!(
                (options.bucket.as_str(), options.prefix.as_str()),
                (bucket, prefix)
            );
            assert_eq!(options.to_string(), shown);
        }
        for url in [
            "",
            "s3:",
            "s3://",
            "s3:///x",
            "files",
            "S3://files",
            "s3://fi les",
            "s3://files/a//b",
            "s3://files/../b",
            "s3://key:secret@files",
            "s3://files/a?b",
            "s3://files/\u{fc}",
        ] {
            assert!(S3Options::from_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn an_endpoint_without_tls_has_to_be_allowed() {
        let mut options = S3Options::from_url("s3://files").unwrap();
        options.endpoint = Some("http://127.0.0.1:9".to_owned());
        options.credentials = S3Credentials::keys("id", "secret", None);
        assert!(matches!(Remote::s3(&options), Err(FileError::Store { .. })));
        options.allow_http = true;
        let remote = Remote::s3(&options).unwrap();
        assert_eq!(format!("{remote:?}"), "Remote(\"s3://files\")");
        options.endpoint = Some("127.0.0.1:9".to_owned());
        assert!(matches!(Remote::s3(&options), Err(FileError::Store { .. })));
    }
}
