//! Files in an S3-compatible store: `.ci/run interop` starts one. `TIM_TEST_S3` is its HOST:PORT; `TIM_TEST_S3_STRICT` that of one which
//! checks keys.

mod broken;
mod place;
mod stored;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tim_hub::{FileOptions, HubOptions, Remote, S3Credentials, S3Options};

use crate::support::{Line, TestHub};

/// A server that tests use, at the address that a variable has. Without one it says so.
pub(super) fn server(variable: &str) -> Option<SocketAddr> {
    let Ok(address) = std::env::var(variable) else {
        let _ = writeln!(std::io::stdout(), "skipped: {variable} names no server");
        return None;
    };
    Some(address.parse().unwrap())
}

/// An empty bucket of a server.
struct Bucket {
    name: String,
    server: SocketAddr,
    line: Line,
    options: S3Options,
}

impl Bucket {
    fn new(name: &str) -> Option<Self> {
        Some(Self::at(server("TIM_TEST_S3")?, name))
    }

    fn at(server: SocketAddr, name: &str) -> Self {
        let line = Line::to(server);
        let name = format!("{name}-{}", std::process::id());
        let mut options = S3Options::from_url(&format!("s3://{name}/hub")).unwrap();
        options.endpoint = Some(format!("http://{}", line.address));
        options.allow_http = true;
        options.region = Some("us-east-1".to_owned());
        options.credentials = S3Credentials::keys("an-id", "a-secret", None);
        let bucket = Self {
            name,
            server,
            line,
            options,
        };
        bucket.ask("PUT", "", b"");
        bucket
    }

    /// Options of a hub whose files are here and whose uploads are in this directory.
    fn options(&self, data: &TempDir) -> FileOptions {
        let mut files = FileOptions::new(data.path().join("files")).unwrap();
        files.store.content = Some(Remote::s3(&self.options).unwrap());
        files
    }

    fn start(&self) -> TestHub {
        self.start_on(Arc::new(tempfile::tempdir().unwrap()))
    }

    fn start_on(&self, data: Arc<TempDir>) -> TestHub {
        let files = self.options(&data);
        TestHub::start_on(data, |options| {
            options.purge_interval = Duration::from_millis(50);
            options.files = Some(files);
        })
    }

    /// Why a hub does not start.
    fn refused(&self, data: &TempDir) -> String {
        let mut options = HubOptions::new(crate::support::app());
        options.files = Some(self.options(data));
        tim_hub::Hub::open(data.path(), options)
            .err()
            .unwrap()
            .to_string()
    }

    /// What the server itself answers about an object of the bucket, or about the bucket.
    fn ask(&self, method: &str, object: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.server).unwrap();
        let head = format!(
            "{method} /{}/{object} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n{AUTHORIZATION}\r\n\r\n",
            self.name,
            self.server,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut response = Vec::new();
        let _ = stream.read_to_end(&mut response);
        String::from_utf8_lossy(&response).into_owned()
    }

    /// The names of the files' parts.
    fn objects(&self) -> Vec<String> {
        let listed = self.ask("GET", "?list-type=2", b"");
        let names = listed.split("<Key>").skip(1);
        let names = names.map(|rest| rest.split('<').next().unwrap().to_owned());
        names.filter(|name| name.split('/').count() == 3).collect()
    }
}

/// How a store refuses a request, with this code.
fn forbidden(code: &str) -> String {
    let body = format!("<Error><Code>{code}</Code><StringToSign>what was signed</StringToSign></Error>");
    format!(
        "HTTP/1.1 403 Forbidden\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// The server takes any signature, but some.
const AUTHORIZATION: &str = "authorization: AWS4-HMAC-SHA256 Credential=an-id/20260101/us-east-1/s3/aws4_request, \
    SignedHeaders=host, Signature=00";
