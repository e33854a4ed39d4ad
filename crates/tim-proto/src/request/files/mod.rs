//! Requests about files: uploads that can be continued, and downloads in pieces.

mod begin_upload;
mod cancel_upload;
mod download;
mod end_upload;
mod file_url;
mod upload;

pub use begin_upload::{BeginUpload, BeginUploadResponse, UploadRefused};
pub use cancel_upload::CancelUpload;
pub use download::{Download, DownloadResponse, FilePart};
pub use end_upload::{EndUpload, EndUploadResponse};
pub use file_url::{FileUrl, FileUrlResponse};
pub use upload::{Upload, UploadResponse};
